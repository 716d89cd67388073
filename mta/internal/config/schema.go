package config

import "encoding/json"

// A schema is a JSON Schema, as far as the table of keys needs it.
type schema struct {
	Schema               string             `json:"$schema,omitempty"`
	ID                   string             `json:"$id,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 any                `json:"type,omitempty"` // a string, or a []string
	Enum                 []string           `json:"enum,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	Minimum              any                `json:"minimum,omitempty"`
	Maximum              any                `json:"maximum,omitempty"`
	MinLength            *int               `json:"minLength,omitempty"`
	MaxLength            *int               `json:"maxLength,omitempty"`
	MaxItems             *int               `json:"maxItems,omitempty"`
	MaxProperties        *int               `json:"maxProperties,omitempty"`
	Default              any                `json:"default,omitempty"`
	OneOf                []*schema          `json:"oneOf,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"` // a *schema, or false
}

// Schema is the JSON Schema of pipeline.yaml.
func Schema() []byte {
	def := Defaults()
	s := file().shape(&def).schema
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "pipeline.yaml"
	s.Description = "The configuration of mta. Durations are written as in 250ms, 30s, 1h30m or 5d, sizes as in 32MiB."
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // only a table that JSON cannot have does this, and a test runs it
	}
	return append(b, '\n')
}
