;; It makes its table larger, for ever.
(module (memory 1) (table 1 funcref)
  (func (export "on_message") (result i32)
    (loop $l (drop (table.grow 0 (ref.null func) (i32.const 10000))) (br $l)) (i32.const 0)))
