;; Its start function calls the host.
(module (import "mta1" "sender_set" (func $set (param i32 i32) (result i32))) (memory 1)
  (func $s (if (i32.ge_s (call $set (i32.const 0) (i32.const 4)) (i32.const 0)) (then (unreachable)))) (start $s)
  (func (export "on_message") (result i32) (i32.const 0)))
