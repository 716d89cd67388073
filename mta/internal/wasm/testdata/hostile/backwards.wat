;; It reads the message's text from its end, octet by octet.
(module
  (import "mta1" "part_size" (func $size (param i32 i32) (result i64)))
  (import "mta1" "part_read" (func $read (param i32 i32 i64 i32 i32) (result i32)))
  (memory 1)
  (func (export "on_message") (result i32) (local $at i64)
    (loop $again
      (local.set $at (call $size (i32.const 0) (i32.const 3)))
      (loop $next
        (drop (call $read (i32.const 0) (i32.const 3) (local.get $at) (i32.const 64) (i32.const 1)))
        (br_if $next (i64.ge_s (local.tee $at (i64.sub (local.get $at) (i64.const 1))) (i64.const 0))))
      (br $again))
    (i32.const 0)))
