;; It takes all memory there is, and fills it as a whole, for ever.
(module (memory 1)
  (func (export "on_message") (result i32)
    (loop $g (br_if $g (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (loop $l
      (memory.fill (i32.const 0) (i32.const 255) (i32.mul (memory.size) (i32.const 65536)))
      (br $l))
    (i32.const 0)))
