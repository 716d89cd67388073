;; It adds one field, and answers continue.
(module (import "mta1" "hdr_insert" (func $insert (param i32 i32 i32 i32 i32 i32) (result i32))) (memory 1)
  (data (i32.const 0) "X-Honest")
  (func (export "on_message") (result i32)
    (call $insert (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 2) (i32.const 6))))
