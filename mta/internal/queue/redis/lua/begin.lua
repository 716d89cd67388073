-- begin has the shard be as it is: nothing is claimed from it until those who
-- began putting back entries have ended, or their time has.
call('ZREMRANGEBYSCORE', P .. ':r', '-inf', int(wall))
call('ZADD', P .. ':r', int(wall + num(ARGV[A + 1])), node)
commit()
return reply('OK')
