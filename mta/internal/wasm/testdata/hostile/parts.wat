;; It walks over all parts of a message, and asks for each one's type and text, for ever.
(module
  (import "mta1" "part_find" (func $find (param i32 i32 i32) (result i32)))
  (import "mta1" "part_info" (func $info (param i32 i32 i32 i32) (result i32)))
  (import "mta1" "part_read" (func $read (param i32 i32 i64 i32 i32) (result i32)))
  (memory 1) (data (i32.const 0) "*/*")
  (func (export "on_message") (result i32) (local $part i32)
    (loop $again
      (local.set $part (i32.const 0))
      (loop $next
        (drop (call $info (local.get $part) (i32.const 0) (i32.const 64) (i32.const 100)))
        (drop (call $read (local.get $part) (i32.const 3) (i64.const 0) (i32.const 64) (i32.const 1000)))
        (br_if $next (i32.ge_s (local.tee $part (call $find (i32.const 0) (i32.const 3) (local.get $part))) (i32.const 0))))
      (br $again))
    (i32.const 0)))
