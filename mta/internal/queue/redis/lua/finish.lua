-- finish ends what begin began.
call('ZREM', P .. ':r', node)
commit()
return reply('OK')
