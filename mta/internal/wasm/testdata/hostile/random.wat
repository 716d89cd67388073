;; It asks for all of its memory in random octets, for ever.
(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32))) (memory 60)
  (func (export "on_message") (result i32)
    (loop $l (drop (call $random (i32.const 0) (i32.const 3932160))) (br $l)) (i32.const 0)))
