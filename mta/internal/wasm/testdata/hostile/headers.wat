;; It inserts header fields, for ever.
(module (import "mta1" "hdr_insert" (func $insert (param i32 i32 i32 i32 i32 i32) (result i32))) (memory 1)
  (data (i32.const 0) "X-Flood")
  (func (export "on_message") (result i32)
    (loop $l
      (drop (call $insert (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 7)))
      (br $l)) (i32.const 0)))
