;; It calls itself for ever.
(module (memory 1)
  (func $f (param i64) (result i32) (i32.add (i32.const 1) (call $f (i64.add (local.get 0) (i64.const 1)))))
  (func (export "on_message") (result i32) (call $f (i64.const 0))))
