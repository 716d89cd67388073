;; It writes all of its memory to stderr, for ever.
(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32))) (memory 16)
  (func (export "on_message") (result i32)
    (i32.store (i32.const 4) (i32.const 1048576))
    (loop $l (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l)) (i32.const 0)))
