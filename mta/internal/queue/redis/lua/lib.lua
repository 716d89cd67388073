-- What scripts share that do more than one thing with entries.

-- look sets when there is something to claim of a lane.
local function look(lane)
  local first = call('ZRANGE', D(lane), 0, 0, 'WITHSCORES')
  if not first[2] then
    call('ZREM', P .. ':l', lane)
    return
  end
  local open = num(call('ZSCORE', P .. ':b', lane))
  call('ZADD', P .. ':l', math.max(num(first[2]), open), lane)
end

local function unschedule(id, lane)
  if call('ZREM', D(lane), id) == 1 then look(lane) end
end

-- stand puts an entry where it belongs: leased, held or waiting.
local function stand(id, lane, due, held, ends)
  if held then call('ZADD', P .. ':h', ends or '0', id) end
  if ends then
    call('ZADD', P .. ':x', ends, id)
  elseif not held then
    schedule(id, lane, due)
  end
end

-- leave takes it away from there.
local function leave(id, lane, held)
  if held then call('ZREM', P .. ':h', id) end
  if call('ZREM', P .. ':x', id) == 0 and not held then unschedule(id, lane) end
end

-- quiet is until when nothing is claimed: while nodes put back entries, and, for
-- so long, after the shard is another than it was, so that all nodes notice.
local function quiet(calm)
  if call('ZCOUNT', P .. ':r', int(wall), '+inf') > 0 then return now + 1000000 end
  if clock == '' and meta[6] then return num(meta[6]) + calm end
  return 0
end

-- sweep returns to the schedule some of what has lapsed, and opens lanes whose
-- time has come.
local function sweep()
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. ':x', '-inf', int(now), 'LIMIT', 0, 100)) do
    call('ZREM', P .. ':x', id)
    local e = call('HMGET', E(id), 'd', 'l', 'h')
    if e[1] and not e[3] then schedule(id, e[2] or '', num(e[1])) end
  end
  for _, lane in ipairs(call('ZRANGEBYSCORE', P .. ':b', '-inf', int(now), 'LIMIT', 0, 100)) do
    call('ZREM', P .. ':b', lane)
    look(lane)
  end
end

-- chunks calls f with the keys of a content's chunks.
local function chunks(id, kind, name, n, f)
  if kind ~= 'c' then return end
  for i = 0, num(n) - 1 do f(P .. ':c:' .. id .. ':' .. name .. ':' .. i) end
end

local function count(lane, by)
  if num(call('ZINCRBY', P .. ':n', by, lane)) <= 0 then call('ZREM', P .. ':n', lane) end
end

-- discard removes the content of an entry.
local function discard(id, kind, name, n)
  chunks(id, kind, name, n, function(key) call('UNLINK', key) end)
  if kind == 'f' then call('SADD', P .. ':f', name) end
end

-- What one entry has among the arguments.
local WIDTH = 11
local function entry(i)
  return {
    id = ARGV[i], r = ARGV[i + 1], d = ARGV[i + 2], h = ARGV[i + 3] == '1', l = ARGV[i + 4], u = ARGV[i + 5],
    z = ARGV[i + 6], k = ARGV[i + 7], c = ARGV[i + 8], n = ARGV[i + 9], v = ARGV[i + 10],
  }
end

-- whole tells whether all chunks of a new content are there.
local function whole(e)
  if e.k ~= 'c' then return true end
  local all = true
  chunks(e.id, e.k, e.c, e.n, function(key) all = all and call('EXISTS', key) == 1 end)
  return all
end

-- keep writes a new entry and returns the token of its lease, or 0.
local function keep(e)
  local due, held = at(e.d), e.h
  local set = {'HSET', E(e.id), 'r', e.r, 'd', due, 'p', op, 'z', e.z, 'k', e.k, 'c', e.c}
  local function also(k, v) set[#set + 1] = k; set[#set + 1] = v end
  local t, ends = '0', nil
  if e.u ~= '' then
    t, ends = lease(), int(at(e.u))
    also('t', t); also('u', ends); also('v', t)
  elseif e.v ~= '' then
    also('v', e.v)
  end
  if e.l ~= '' then also('l', e.l) end
  if held then also('h', '1') end
  if e.k == 'c' then also('n', e.n) end
  call(unpack(set))
  chunks(e.id, e.k, e.c, e.n, function(key) call('PERSIST', key) end)
  call('ZADD', P .. ':i', '0', e.id)
  call('ZINCRBY', P .. ':n', '1', e.l)
  stand(e.id, e.l, due, held, ends)
  return t
end

-- admit checks n entries from an argument on; the status is nil if all can be
-- put, and 'DONE' if they were.
local function admit(first, n)
  for k = 0, n - 1 do
    local e = entry(first + k * WIDTH)
    local status = occupied(e.id)
    if status then return status end
    if not whole(e) then return 'CHUNKS' end
  end
  return nil
end

-- forget removes an entry. Its end is remembered a while, for calls that come
-- late.
local function forget(id, e)
  call('UNLINK', E(id))
  discard(id, e.k, e.c, e.n)
  call('ZREM', P .. ':i', id)
  leave(id, e.l, e.h)
  count(e.l, '-1')
  call('SET', P .. ':g:' .. id, e.p or '', 'PX', '120000')
end

-- load reads what scripts need to know of an entry; nil: it is not there.
local function load(id)
  local f = call('HMGET', E(id), 'd', 'l', 't', 'u', 'h', 'o', 'k', 'n', 'p', 'v')
  if not f[1] then return nil end
  local e = {d = f[1], l = f[2] or '', t = f[3], u = num(f[4]), h = f[5] == '1', o = f[6], k = f[7], n = f[8], p = f[9], v = f[10]}
  if e.k ~= 'i' then e.c = call('HGET', E(id), 'c') end
  return e
end

-- shown is an entry as it is answered.
local function shown(id)
  local f = call('HMGET', E(id), 'r', 'd', 't', 'u', 'h', 'z', 'k', 'n')
  if not f[2] then return nil end
  return {id, f[1] or '', f[2], f[3] or '0', f[4] or '0', f[5] or '0', f[6] or '0', f[7] or '', f[8] or '0'}
end

-- renew gives an entry another record, and ends its lease.
local function renew(id, e, r, due, held, lane, t)
  leave(id, e.l, e.h)
  call('HSET', E(id), 'r', r, 'd', int(at(due)), 'v', t, 'o', op)
  call('HDEL', E(id), 't', 'u')
  if held ~= e.h then
    if held then call('HSET', E(id), 'h', '1') else call('HDEL', E(id), 'h') end
  end
  if lane ~= e.l then
    count(e.l, '-1')
    count(lane, '1')
    call('HSET', E(id), 'l', lane)
  end
  stand(id, lane, at(due), held, nil)
end

-- keepAll keeps n new entries and returns their tokens.
local function keepAll(first, n)
  local tokens = {}
  for k = 0, n - 1 do tokens[k + 1] = keep(entry(first + k * WIDTH)) end
  return tokens
end

-- finish ends a script that changed several entries, and remembers its answer.
local function finish(tokens)
  commit()
  call('SET', P .. ':o:' .. op, cjson.encode(tokens), 'PX', '120000')
  return reply('OK', unpack(tokens))
end
