;; It takes memory, page after page, and touches it, until there is none, and goes on.
(module (memory 1)
  (func (export "on_message") (result i32)
    (loop $l
      (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1))
        (then (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const 1))))
      (br $l))
    (i32.const 0)))
