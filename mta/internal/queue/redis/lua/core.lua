-- What all scripts share; it stands before each of them, and lib.lua after it.
--
-- KEYS[1] is what the keys of a shard begin with, such as mta:{q7}. They are all
-- in one slot, and made from it here: which lanes and entries a script gets to is
-- known only once it runs.
--
--   :m        hash: what the shard is (epoch), n:NODE how many changes a node
--             made, the last token, the last time, since when it is there
--   :e:ID     hash: an entry; see below
--   :c:ID:…   strings: the chunks of a content that is too large for the hash
--   :i        sorted set: all IDs, in their order
--   :d:LANE   sorted set: what of a lane waits, by when it is due
--   :l        sorted set: lanes, by when there is something to claim of them
--   :b        sorted set: lanes that are not to be looked at, by until when
--   :x        sorted set: what is leased, by the end of the lease
--   :h        sorted set: what is held, by the end of its lease, or 0
--   :n        sorted set: lanes, by how many entries they have
--   :g:ID     string with an expiry: an entry that is gone, or must never be
--   :k        hash: the last claim of each node
--   :r        sorted set: nodes that are putting back entries, and until when
--   :f        set: files of contents that can be removed
--   :o:OP     string with an expiry: what an operation on several entries answered
--   :p:LANE   hash: the places that nodes have at a next hop
--   :t:LANE   hash: how many messages may go there now
--
-- An entry has the fields r (record), d (due), p (the operation that put it),
-- and, where they say something, l (lane), t (token of its lease), u (until),
-- v (token that the record was written under), h (1: held), o (the operation
-- that changed it last), z (size), k (what c is: i the content, c the prefix of n
-- chunks, f the name of a file), c, n.
--
-- Times are microseconds. ARGV begins with the node, the epoch and the number of
-- its own changes that it knows of, the time or nothing (then it is the server's,
-- and times are relative to it), and the operation, which is the same when a call
-- is repeated.
local P, call = KEYS[1], redis.call
local node, op, clock = ARGV[1], ARGV[5], ARGV[4]
local A = 5 -- arguments before those of a script
local M = P .. ':m'

local function int(n) return string.format('%.0f', n) end
local function num(s) return tonumber(s or '0') or 0 end

local meta = call('HMGET', M, 'epoch', 'n:' .. node, 'token', 'last', 'skew', 'since')
local epoch, seq = meta[1], num(meta[2])
if ARGV[2] ~= '' and (ARGV[2] ~= epoch or seq < num(ARGV[3])) then
  return {'EMPTIED', epoch or '', seq, 0}
end

-- The shard's clock never goes back, but for a tenth of a second, which is how
-- often it is written down: if the server's does, the difference is kept.
local T = call('TIME')
local wall = T[1] * 1000000 + T[2]
local skew, now = num(meta[5]), num(clock)
if clock == '' then
  now = wall + skew
  if now < num(meta[4]) then
    skew = skew + num(meta[4]) - now
    now = num(meta[4])
  end
end
local function at(x)
  if clock == '' then return now + num(x) end
  return num(x)
end

-- Tokens follow the clock, so that they grow even if the shard is set back.
local token, leased = math.max(num(meta[3]), wall), false
local function lease()
  token, leased = token + 1, true
  return int(token)
end

local function reply(status, ...)
  return {status, epoch or '', seq, now, ...}
end

-- commit counts a change. A script that changed anything ends with it.
local function commit()
  seq = seq + 1
  if leased then
    call('HSET', M, 'n:' .. node, seq, 'token', token)
  else
    call('HSET', M, 'n:' .. node, seq)
  end
  if skew ~= num(meta[5]) then call('HSET', M, 'skew', skew) end
  if clock == '' and now >= num(meta[4]) + 100000 then call('HSET', M, 'last', now) end
  if not epoch then
    epoch = op
    call('HSET', M, 'epoch', epoch)
    if clock == '' then call('HSET', M, 'since', now) end
  end
end

local function E(id) return P .. ':e:' .. id end
local function D(lane) return P .. ':d:' .. lane end

-- schedule has an entry wait in its lane.
local function schedule(id, lane, due)
  call('ZADD', D(lane), due, id)
  local open = call('ZSCORE', P .. ':b', lane)
  call('ZADD', P .. ':l', 'LT', open and math.max(due, num(open)) or due, lane)
end

-- occupied tells what stands against a new entry: nothing, 'DONE' if this very
-- operation put it, or the status to answer.
local function occupied(id)
  if call('EXISTS', E(id), P .. ':g:' .. id) == 0 then return nil end
  local p = call('HGET', E(id), 'p')
  if p then return p == op and 'DONE' or 'EXISTS' end
  local g = call('GET', P .. ':g:' .. id)
  if g == op then return 'DONE' end
  if g == 'refused' then return 'REFUSED' end
  return nil
end
