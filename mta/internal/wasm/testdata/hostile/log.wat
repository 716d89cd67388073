;; It logs a page of text, for ever.
(module (import "mta1" "log" (func $log (param i32 i32 i32))) (memory 1)
  (func (export "on_message") (result i32)
    (loop $l (call $log (i32.const 3) (i32.const 0) (i32.const 65536)) (br $l)) (i32.const 0)))
