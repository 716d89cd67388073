-- bury ends entries that were finished before the shard was set back, and sees to
-- it that nobody puts them back. With each comes the token of its last lease.
for i = A + 2, #ARGV, 2 do
  local id, t = ARGV[i], num(ARGV[i + 1])
  local old = load(id)
  if not old then
    call('SET', P .. ':g:' .. id, 'refused', 'PX', ARGV[A + 1])
  elseif math.max(num(old.v), num(old.t)) <= t then
    forget(id, old)
    call('SET', P .. ':g:' .. id, 'refused', 'PX', ARGV[A + 1])
  end
end
commit()
return reply('OK')
