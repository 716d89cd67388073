#!/bin/bash
# mta as a relay, for the tables of mta/README.md and sdk/README.md: everything
# goes to $SINK, with no stage, with the three of the default pipeline, or with
# one in some language that adds a field or replaces the body. The queue is the
# spool, or a redis-server of its own that syncs every write.
# MTA_BIN is the binary, MTA_ROOT the checkout.
#bench[stages] header=X-Bench-Ext note=stamp,rewrite(footer),route
#bench[redis] note=queue-in-Redis,appendfsync-always
#bench[redis-stages] header=X-Bench-Ext note=queue-in-Redis,appendfsync-always,three-stages
#bench[c] header=X-Bench-Ext note=one-stage-in-C
#bench[rust] header=X-Bench-Ext note=one-stage-in-Rust
#bench[go] header=X-Bench-Ext note=one-stage-in-Go
#bench[javascript] header=X-Bench-Ext note=one-stage-in-JavaScript
#bench[ruby] header=X-Bench-Ext note=one-stage-in-Ruby
#bench[python] header=X-Bench-Ext note=one-stage-in-Python
#bench[c-body] header=X-Bench-Ext body=rewritten note=one-stage-in-C,body-replaced
#bench[javascript-body] header=X-Bench-Ext body=rewritten note=one-stage-in-JavaScript,body-replaced
set -eu
cat >"$BENCH_DIR/pipeline.yaml" <<END
hostname: bench.test
state: var
listen: {smtp: ["$LISTEN"]}
relay: {allow: [127.0.0.0/8], routes: {"*": "smtp://$SINK"}, concurrency: ${MTA_RELAY_CONCURRENCY:-20}}
log: {level: ${MTA_LOG:-info}}
END
case $BENCH_VARIANT in
redis*)
	redis-server --port 0 --unixsocket "$BENCH_DIR/redis.sock" --dir "$BENCH_DIR" --appendonly yes --appendfsync always \
		--save "" --maxmemory-policy noeviction --loglevel warning --logfile "$BENCH_DIR/redis.log" &
	until [ -S "$BENCH_DIR/redis.sock" ]; do sleep 0.05; done
	echo "queue: {store: \"unix://$BENCH_DIR/redis.sock?db=0\"}" >>"$BENCH_DIR/pipeline.yaml"
	;;
esac
# one PLUGIN [CONFIG] adds the only stage.
one() {
	cat >>"$BENCH_DIR/pipeline.yaml" <<END
plugins: {one: "$MTA_ROOT/$1"}
pipeline: [{plugin: one, memory: 512MiB, config: ${2:-"{}"}}]
END
}
field='{stamp: {name: X-Bench-Ext, value: "1"}}'
case $BENCH_VARIANT in
redis) ;;
stages | redis-stages)
	cat >>"$BENCH_DIR/pipeline.yaml" <<END
plugins: {stamp: "$MTA_ROOT/plugins/stamp", rewrite: "$MTA_ROOT/plugins/rewrite", route: "$MTA_ROOT/plugins/route"}
pipeline:
  - plugin: stamp
    config: {add: {X-Bench-Ext: "\${hostname}"}}
  - plugin: rewrite
    when: size < 1048576 && !authenticated
    config: {footer: {text: "Sent through bench.test"}}
  - plugin: route
    config:
      rules:
        - if: {recipient: "@hamburger.edu", detail: [lists, news]}
          deliver: "\${detail}"
        - if: {header: {Subject: "*lottery*"}, authenticated: false}
          quarantine: smells of a lottery
END
	;;
c-body) one mta/docs/bench/body-c ;;
javascript-body) one mta/docs/bench/body-js ;;
?*) one "sdk/conformance/filters/$BENCH_VARIANT" "$field" ;;
esac
# Compiled plugins outlive the throw-away folder.
cache=${MTA_CACHE:-/var/tmp/mta-bench-cache}
mkdir -p "$BENCH_DIR/var" "$cache"
ln -sfn "$cache" "$BENCH_DIR/var/cache"
cd "$BENCH_DIR"
exec "$MTA_BIN" --pipeline "$BENCH_DIR/pipeline.yaml" 2>mta.log
