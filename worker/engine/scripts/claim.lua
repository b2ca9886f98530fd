-- Take up to N due jobs in order of queues, on the server's clock, leaving the rest where it is. Orphans, whose worker
-- has died, come before all that waits: their parked scores would put them behind whatever came since.
--
-- KEYS   the queues, the one to be served first first
-- ARGV   token, lease ms, limit, bytes limit, not after (ms, 0 = always), look for aborts (1/0),
--        deaths of workers that make a job suspect (0 = never), whether the caller runs a suspect (1/0),
--        one reserve per queue (slots that the queues before it leave free if it has due jobs), then job ids, if only
--        those are to be taken
-- reads  arq:paused, arq:job:<id>, arq:retry:<id>, arq:errors:<id>, the queues, arq:leases:<queue>, arq:shelves:<queue>,
--        arq:abort, whose marks stay until their jobs end: this claim's answer may be lost
-- writes arq:in-progress:<id>  SET NX token, the lease
--        arq:job:<id>          its life has no end any more
--        arq:crashes:<id>      deaths of workers, told by the score: see parking
--        the queues            parking: the score becomes the lease's end plus a half. Claimed jobs leave the due range,
--                              so nobody trips over them; if the worker dies they come due by themselves, and the half
--                              says that a claim was never ended.
--        arq:leases:<queue>    the parked scores once more and nothing else, so that the lapsed can be looked for
--        arq:holders:<queue>   the token once more, which the lease forgets when it runs out
--        arq:shelves:<queue>   shelving: due jobs of a paused function, met in the scan, leave the due range too
-- The try begun here is written to arq:retry:<id> only when it has ended without ending the job: a death is no try.
--
-- returns {now, next due or '', 1 if more may be due, {paused functions}, {job, …}} where a job is
--         {queue number, id, score, body or false, tries, crashes, 1 if aborted, 1 if the body is no string,
--         {error of an earlier attempt, …}}
--         or {now, 'late'}: the call came too late, its caller has given up on it, nothing was taken
-- include shelf
local RETRY_LIFE_S = 88400
local PAGE = 64
local SCAN_LIMIT = 5000
local SHELVE_LIMIT = 500
local LOOK_AGAIN_MS = 500
local PUT_OFF_MS = 200

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local token, lease, limit, bytes_limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local not_after, look_for_aborts = tonumber(ARGV[5]), ARGV[6] == '1'
local suspicion, has_suspect = tonumber(ARGV[7]), ARGV[8] == '1'
if not_after > 0 and now > not_after then
  return { now, 'late' }
end

-- A server that is out of memory lets a script which has begun to write go on, here with a key that is never there; only
-- running its jobs will empty it.
local function make_room()
  redis.call('DEL', 'arq:room')
end

look_for_aborts = look_for_aborts and redis.call('EXISTS', 'arq:abort') == 1
local steering = { 'arq:paused' }
for number, queue in ipairs(KEYS) do
  steering[number + 1] = 'arq:shelves:' .. queue
end
local paused, paused_functions, any_shelf = {}, {}, false
if redis.call('EXISTS', unpack(steering)) > 0 then
  make_room()
  for _, entry in ipairs(redis.pcall('HKEYS', 'arq:paused')) do
    paused[entry] = true
    if string.sub(entry, 1, 9) == 'function:' then
      paused_functions[#paused_functions + 1] = string.sub(entry, 10)
    end
  end
  for _, queue in ipairs(KEYS) do
    local in_use = clear_shelves(queue, function(name)
      return paused['function:' .. name]
    end)
    any_shelf = any_shelf or in_use
  end
  -- Its producer has given it up, which no pause puts off.
  for _, id in ipairs(any_shelf and look_for_aborts and redis.pcall('ZREVRANGE', 'arq:abort', 0, PAGE) or {}) do
    for _, queue in ipairs(KEYS) do
      local score = redis.pcall('ZSCORE', queue, id)
      if type(score) == 'string' and is_shelved(score) then
        redis.call('ZADD', queue, unshelved(score), id)
      end
    end
  end
end

local shelved_now, shelving, shelves = 0, {}, {}

-- Note that a job goes on its shelf if its function is paused, and tell whether it does.
local function shelve(queue, id, score)
  if #paused_functions == 0 then
    return false
  end
  local name = function_of(id)
  if not name or not paused['function:' .. name] or (look_for_aborts and redis.pcall('ZSCORE', 'arq:abort', id)) then
    return false
  end
  local shelf = shelves[name] or shelf_of(queue, name)
  if not shelf then
    return false
  end
  shelves[name], any_shelf, shelved_now = shelf, true, shelved_now + 1
  shelving[#shelving + 1] = shelved_score(shelf, score)
  shelving[#shelving + 1] = id
  return true
end

-- Put what was noted on the shelves of the queue.
local function put_on_shelves(queue)
  if #shelving > 0 then
    redis.call('ZADD', queue, unpack(shelving))
    shelving, shelves = {}, {}
  end
end

local function lock(id)
  local key = 'arq:in-progress:' .. id
  local locked = redis.pcall('SET', key, token, 'NX', 'PX', lease)
  if locked and locked.err then
    make_room()
    locked = redis.call('SET', key, token, 'NX', 'PX', lease)
  end
  if locked then
    return true
  end
  -- Every lease has an end. One without is no lease but somebody's mistake, and would block the job for ever.
  if redis.call('PTTL', key) == -1 then
    redis.call('SET', key, token, 'PX', lease)
    return true
  end
  return false
end

local function count_crash(id)
  local key = 'arq:crashes:' .. id
  local crashes = redis.pcall('INCR', key)
  if type(crashes) == 'table' then
    redis.call('SET', key, 1)
    crashes = 1
  end
  redis.call('EXPIRE', key, RETRY_LIFE_S)
  return crashes
end

-- A suspect has cost workers, or was only beside the job that did. No two of them run in one worker, so that the next
-- death tells which. The others are put off: still parked, at no cost, for a worker that has none.
local function is_one_too_many(id)
  local crashes = redis.pcall('GET', 'arq:crashes:' .. id)
  if suspicion == 0 or (tonumber(type(crashes) == 'string' and crashes or 0) or 0) + 1 < suspicion then
    return false
  end
  local too_many = has_suspect
  has_suspect = true
  return too_many
end

local put_off_now = 0

local function put_off(queue, id)
  put_off_now = put_off_now + 1
  local score = string.format('%.1f', now + PUT_OFF_MS + 0.5)
  redis.call('DEL', 'arq:in-progress:' .. id)
  redis.call('ZADD', queue, score, id)
  redis.pcall('ZADD', 'arq:leases:' .. queue, score, id)
end

-- What its earlier claims failed of. Only a job that was claimed before can have any, which is not looked for otherwise.
local function errors_of(id, was_claimed)
  local errors = was_claimed and redis.pcall('LRANGE', 'arq:errors:' .. id, 0, -1) or {}
  return errors.err and {} or errors
end

local function is_parked(score)
  local number = tonumber(score)
  return number ~= math.floor(number) and number < math.huge and number > -math.huge
end

local jobs, bytes = {}, 0
local parked_score = string.format('%.1f', now + lease + 0.5)
local parking = {}

-- Read what locked jobs are made of; what would exceed the bytes, and suspects that are too many, are unlocked again.
-- Returns how many were.
local function take(number, ids, scores)
  if #ids == 0 then
    return 0
  end
  local names = {}
  for i, id in ipairs(ids) do
    names[i] = 'arq:job:' .. id
    names[#ids + i] = 'arq:retry:' .. id
  end
  local found = redis.call('MGET', unpack(names))
  local park, unlocked = parking[number] or {}, 0
  parking[number] = park
  for i, id in ipairs(ids) do
    if bytes >= bytes_limit then
      for rest = i, #ids do
        redis.call('DEL', 'arq:in-progress:' .. ids[rest])
      end
      return unlocked + #ids - i + 1
    end
    local was_lost = is_parked(scores[i])
    if was_lost and is_one_too_many(id) then
      put_off(KEYS[number], id)
      unlocked = unlocked + 1
    else
      local body, retries = found[i], found[#ids + i]
      local misshapen = not body and redis.call('EXISTS', names[i]) or 0
      local aborted = look_for_aborts and type(redis.pcall('ZSCORE', 'arq:abort', id)) == 'string'
      -- If a body expired under its claim, its id could be enqueued anew, and the end of this claim would end both.
      redis.call('PERSIST', names[i])
      bytes = bytes + (body and #body or 0)
      jobs[#jobs + 1] = { number, id, scores[i], body, (tonumber(retries or 0) or 0) + 1,
        was_lost and count_crash(id) or 0, aborted and 1 or 0, misshapen, errors_of(id, retries or was_lost) }
      park[#park + 1] = parked_score
      park[#park + 1] = id
    end
  end
  return unlocked
end

-- Take what dead workers held of one queue, and return how many slots are left. What is found not to be an orphan is
-- struck from the list: somebody ended it, put it back, or holds it without being on the list (a stock worker).
local function take_orphans(number, quota)
  local queue, leases = KEYS[number], 'arq:leases:' .. KEYS[number]
  if quota == 0 or bytes >= bytes_limit or paused['queue:' .. queue] then
    return quota
  end
  local ids, scores = {}, {}
  repeat
    local others = {}
    for _, id in ipairs(redis.pcall('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, PAGE)) do
      local score = #ids < quota and redis.call('ZSCORE', queue, id)
      if score and is_parked(score) and tonumber(score) <= now and not shelve(queue, id, score) and lock(id) then
        ids[#ids + 1] = id
        scores[#scores + 1] = score
      elseif #ids < quota then
        others[#others + 1] = id
      end
    end
    if #others > 0 then
      redis.call('ZREM', leases, unpack(others))
    end
    put_on_shelves(queue)
  until #others < PAGE
  return quota - #ids + take(number, ids, scores)
end

-- Where each queue's scan stands, and whether it found the end of what is due.
local offset, ended, orphans_first = {}, {}, false

local function take_from(number, quota)
  local queue = KEYS[number]
  if paused['queue:' .. queue] then
    ended[number] = true
  end
  while quota > 0 and bytes < bytes_limit and shelved_now < SHELVE_LIMIT and not ended[number] do
    local at = offset[number] or 0
    local asked = #paused_functions > 0 and PAGE or math.min(PAGE, quota + 8)
    local page = redis.pcall('ZRANGEBYSCORE', queue, '-inf', now, 'WITHSCORES', 'LIMIT', at, asked)
    if (#page > 2 * quota or #page == 2 * asked) and not orphans_first then
      -- More is due than can be taken. Otherwise the orphans, which are due too, are in the page.
      orphans_first = true
      for each = 1, #KEYS do
        quota = take_orphans(each, quota)
      end
    end
    if page.err or #page == 0 or at > SCAN_LIMIT then
      ended[number] = true
      break
    end
    local ids, scores, seen, moved_before = {}, {}, 0, shelved_now + put_off_now
    for i = 1, #page, 2 do
      if #ids == quota then
        break
      end
      seen = seen + 1
      if not shelve(queue, page[i], page[i + 1]) and lock(page[i]) then
        ids[#ids + 1] = page[i]
        scores[#scores + 1] = page[i + 1]
      end
    end
    put_on_shelves(queue)
    quota = quota - #ids + take(number, ids, scores)
    ended[number] = #page < 2 * asked and seen == #page / 2 and bytes < bytes_limit
    offset[number] = at + seen - (shelved_now + put_off_now - moved_before)
  end
  return quota
end

local ids_from = 9 + #KEYS
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
  for number = 1, #KEYS do
    local kept = 0
    for later = number + 1, #KEYS do
      kept = kept + tonumber(ARGV[8 + later])
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
    redis.pcall('ZADD', 'arq:leases:' .. KEYS[number], unpack(park))
    local holders = {}
    for i = 2, #park, 2 do
      holders[i - 1], holders[i] = park[i], token
    end
    redis.pcall('HSET', 'arq:holders:' .. KEYS[number], unpack(holders))
  end
end
return { now, next_due, more, paused_functions, jobs }
