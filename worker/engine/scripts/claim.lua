-- Take up to N due jobs in order of queues, on the server's clock, leaving the rest where it is. Orphans, whose worker
-- has died, come before all that waits: their parked scores would put them behind whatever came since.
--
-- KEYS   the queues, the one to be served first first
-- ARGV   token, lease ms, limit, bytes limit, not after (ms, 0 = always), look for aborts (1/0),
--        crashes that bring a job into quarantine, crashes that end it, what the caller holds (0 nothing, 1 jobs,
--        2 nothing, so that it can run a job alone), how often workers beat (ms), bytes of a body that is too long to be
--        fetched, one reserve per queue (slots that the queues before it leave free if it has due jobs), then job ids, if
--        only those are to be taken
-- reads  arq:paused, arq:job:<id>, arq:retry:<id>, arq:errors:<id>, the queues, arq:leases:<queue>, arq:shelves:<queue>,
--        arq:holders:<queue>, arq:worker:<worker>, arq:workers,
--        arq:abort, whose marks stay until their jobs end: this claim's answer may be lost
-- writes arq:in-progress:<id>  SET NX token, the lease
--        arq:job:<id>          its life has no end any more
--        arq:crashes:<id>      lapsed leases that count: see claim_quarantine.lua, with arq:quarantine
--        the queues            parking: the score becomes the lease's end plus a half. Claimed jobs leave the due range,
--                              so nobody trips over them; if the worker dies they come due by themselves, and the half
--                              says that a claim was never ended.
--        arq:leases:<queue>    the parked scores once more and nothing else, so that the lapsed can be looked for
--        arq:holders:<queue>   the token once more, which the lease forgets when it runs out
--        arq:shelves:<queue>   shelving: due jobs of a paused function, met in the scan, leave the due range too
-- The try begun here is written to arq:retry:<id> only when it has ended without ending the job: a death is no try.
--
-- returns {now, next due or '', 1 if more may be due, {paused functions}, {job, …}, 1 if the caller is to take no more
--         until it is empty, for a job that must run alone, {queue that is no sorted set, …}} where a job is
--         {queue number, id, score, body or false, tries, crashes, 1 if aborted, 1 if the body is no string,
--         {error of an earlier attempt, …}, bytes of its body if that is too long: then its beginning stands for it}
--         or {now, 'late'}: the call came too late, its caller has given up on it, nothing was taken
local PAGE = 64
local LOOK_AGAIN_MS = 500

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local token, lease, limit, bytes_limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local not_after, look_for_aborts = tonumber(ARGV[5]), ARGV[6] == '1'
local quarantine_from, dead_from, holds, beat = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
local longest_body = tonumber(ARGV[11])
if not_after > 0 and now > not_after then
  return { now, 'late' }
end

-- A server that is out of memory lets a script which has begun to write go on, here with a key that is never there; only
-- running its jobs will empty it.
local function make_room()
  redis.call('DEL', 'arq:room')
end

look_for_aborts = look_for_aborts and redis.call('EXISTS', 'arq:abort') == 1

-- include typed
-- include shelf
-- include claim_pauses
-- include claim_quarantine
-- include claim_holding
-- include claim_scan

local ids_from = 12 + #KEYS
local free = limit
if #ARGV >= ids_from then
  local ids, scores = {}, {}
  for i = ids_from, #ARGV do
    local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
    if score and tonumber(score) <= now and lock(ARGV[i]) then
      ids[#ids + 1] = ARGV[i]
      scores[#scores + 1] = score
    end
  end
  take(1, ids, scores)
else
  if holds == IS_EMPTIED then
    take_one_alone()
  end
  for number = 1, #KEYS do
    local kept = 0
    for later = number + 1, #KEYS do
      kept = kept + tonumber(ARGV[11 + later])
    end
    local allowed = math.max(free - kept, 0)
    free = free - (allowed - take_from(number, allowed))
  end
  for number = 1, #KEYS do
    free = take_from(number, free)
  end
end

local next_due = ''
local more = 0
for number = 1, #KEYS do
  if not ended[number] then
    more = 1
  end
end
if more == 0 then
  for number = 1, #KEYS do
    local ahead = redis.pcall('ZRANGEBYSCORE', KEYS[number], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if ahead[2] and (next_due == '' or tonumber(ahead[2]) < tonumber(next_due)) then
      next_due = ahead[2]
    end
  end
end
-- Nobody is called when a function is resumed.
if any_shelf and more == 0 and (next_due == '' or tonumber(next_due) > now + LOOK_AGAIN_MS) then
  next_due = string.format('%.0f', now + LOOK_AGAIN_MS)
end

for number, park in pairs(parking) do
  if #park > 0 then
    redis.call('ZADD', KEYS[number], unpack(park))
    run('ZADD', 'arq:leases:' .. KEYS[number], unpack(park))
    local holders = {}
    for i = 2, #park, 2 do
      holders[i - 1], holders[i] = park[i], token
    end
    run('HSET', 'arq:holders:' .. KEYS[number], unpack(holders))
  end
end
return { now, next_due, more, paused_functions, jobs, takes_turn(), broken }
