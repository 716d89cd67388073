-- probe finds out whether the shard is the one that the node knew.
return reply('OK')
