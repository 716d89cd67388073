// Command plugin is a plugin's source as far as the configuration looks at it.
package main

func main() {}
