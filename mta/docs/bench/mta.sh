#!/bin/bash
# mta as a relay for the table of mta/README.md: everything goes to $SINK, with
# no stage or with the three. MTA_BIN is the binary, MTA_ROOT the checkout.
#bench[stages] header=X-Bench-Ext note=stamp,rewrite(footer),route
set -eu
cat >"$BENCH_DIR/pipeline.yaml" <<EOF
hostname: bench.test
state: var
listen: {smtp: ["$LISTEN"]}
relay: {allow: [127.0.0.0/8], routes: {"*": "smtp://$SINK"}, concurrency: ${MTA_RELAY_CONCURRENCY:-20}}
log: {level: ${MTA_LOG:-info}}
EOF
if [ "$BENCH_VARIANT" = stages ]; then
cat >>"$BENCH_DIR/pipeline.yaml" <<EOF
plugins: {stamp: $MTA_ROOT/plugins/stamp, rewrite: $MTA_ROOT/plugins/rewrite, route: $MTA_ROOT/plugins/route}
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
EOF
fi
# Compiled plugins outlive the throw-away folder.
cache=${MTA_CACHE:-/var/tmp/mta-bench-cache}
mkdir -p "$BENCH_DIR/var" "$cache"
ln -sfn "$cache" "$BENCH_DIR/var/cache"
cd "$BENCH_DIR"
exec "$MTA_BIN" --pipeline "$BENCH_DIR/pipeline.yaml" 2>mta.log
