;; It never ends.
(module (memory 1) (func (export "on_message") (result i32) (loop $l (br $l)) (i32.const 0)))
