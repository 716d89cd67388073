;; It polls with a number of subscriptions whose size wraps around 32 bits.
(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32))) (memory 1)
  (func (export "on_message") (result i32) (call $poll (i32.const 0) (i32.const 0) (i32.const 0x5555556) (i32.const 8))))
