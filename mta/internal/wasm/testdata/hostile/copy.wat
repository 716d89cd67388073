;; It takes all memory there is, and copies half of it to the other half, for ever.
(module (memory 1)
  (func (export "on_message") (result i32)
    (loop $g (br_if $g (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (loop $l
      (memory.copy (i32.const 0) (i32.mul (memory.size) (i32.const 32768)) (i32.mul (memory.size) (i32.const 32768)))
      (br $l))
    (i32.const 0)))
