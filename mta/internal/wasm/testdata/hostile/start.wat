;; Its start function never ends.
(module (memory 1) (func $s (loop $l (br $l))) (start $s) (func (export "on_message") (result i32) (i32.const 0)))
