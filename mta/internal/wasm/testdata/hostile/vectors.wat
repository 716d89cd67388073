;; It writes with more vectors than there can be.
(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32))) (memory 16)
  (func (export "on_message") (result i32) (call $write (i32.const 2) (i32.const 0) (i32.const 131072) (i32.const 8))))
