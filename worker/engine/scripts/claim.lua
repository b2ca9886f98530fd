-- Take up to N due jobs in order of queues, on the server's clock, leaving the rest where it is.
--
-- KEYS   the queues, the one to be served first first
-- ARGV   token, lease ms, limit, bytes limit, not after (ms, 0 = always), look for aborts (1/0),
--        one reserve per queue (slots that the queues before it leave free if it has due jobs), then job ids, if only
--        those are to be taken
-- reads  arq:paused, arq:abort, arq:job:<id>, the queues
-- writes arq:in-progress:<id>  SET NX token, the lease
--        arq:retry:<id>        tries begun; not for a job whose last worker died
--        arq:crashes:<id>      deaths of workers, told by the score: see parking
--        arq:abort             a mark is taken off when its job is claimed
--        the queues            parking: the score becomes the lease's end plus a half. Claimed jobs leave the due range,
--                              so nobody trips over them; if the worker dies they come due by themselves, and the half
--                              says that a claim was never ended.
--
-- returns {now, next due or '', 1 if more may be due, {paused functions}, {job, …}} where a job is
--         {queue number, id, score, body or false, tries, crashes, 1 if aborted, 1 if the body is no string}
--         or {now, 'late'}: the call came too late, its caller has given up on it, nothing was taken
local RETRY_LIFE_S = 88400
local PAGE = 64
local SCAN_LIMIT = 5000

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local token, lease, limit, bytes_limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local not_after, look_for_aborts = tonumber(ARGV[5]), ARGV[6] == '1'
if not_after > 0 and now > not_after then
  return { now, 'late' }
end

local paused, paused_functions = {}, {}
local entries = redis.pcall('HKEYS', 'arq:paused')
for _, entry in ipairs(entries) do
  paused[entry] = true
  if string.sub(entry, 1, 9) == 'function:' then
    paused_functions[#paused_functions + 1] = string.sub(entry, 10)
  end
end
look_for_aborts = look_for_aborts and redis.call('EXISTS', 'arq:abort') == 1

local jobs, bytes = {}, 0
local parked_score = string.format('%.1f', now + lease + 0.5)

local begun = false

local function lock(id)
  local key = 'arq:in-progress:' .. id
  if not begun then
    -- Of a key that is never there. A server that is out of memory lets a script which has begun to write go on, and
    -- only running its jobs will empty it.
    redis.call('DEL', 'arq:room')
    begun = true
  end
  if redis.call('SET', key, token, 'NX', 'PX', lease) then
    return true
  end
  -- Every lease has an end. One without is no lease but somebody's mistake, and would block the job for ever.
  if redis.call('PTTL', key) == -1 then
    redis.call('SET', key, token, 'PX', lease)
    return true
  end
  return false
end

local function count_try(id, score)
  local key = 'arq:retry:' .. id
  if score ~= math.floor(score) and score < math.huge and score > -math.huge then
    local crash_key = 'arq:crashes:' .. id
    local crashes = redis.pcall('INCR', crash_key)
    if type(crashes) == 'table' then
      redis.call('SET', crash_key, 1)
      crashes = 1
    end
    redis.call('EXPIRE', crash_key, RETRY_LIFE_S)
    local tries = redis.pcall('GET', key)
    return (type(tries) == 'string' and tonumber(tries)) or 1, crashes
  end
  if redis.call('SET', key, 1, 'NX', 'EX', RETRY_LIFE_S) then
    return 1, 0
  end
  local tries = redis.pcall('INCR', key)
  if type(tries) == 'table' then
    redis.call('SET', key, 1)
    tries = 1
  end
  redis.call('EXPIRE', key, RETRY_LIFE_S)
  local crashes = redis.pcall('GET', 'arq:crashes:' .. id)
  return tries, (type(crashes) == 'string' and tonumber(crashes)) or 0
end

local function take(number, id, score)
  local body = redis.pcall('GET', 'arq:job:' .. id)
  local misshapen = type(body) == 'table'
  if misshapen then
    body = false
  end
  local tries, crashes = count_try(id, tonumber(score))
  local aborted = look_for_aborts and redis.pcall('ZREM', 'arq:abort', id) == 1
  bytes = bytes + (body and #body or 0)
  jobs[#jobs + 1] = { number, id, score, body, tries, crashes, aborted and 1 or 0, misshapen and 1 or 0 }
end

-- Where each queue's scan stands, and whether it found the end of what is due.
local offset, ended, parking = {}, {}, {}

local function take_from(number, quota)
  local queue = KEYS[number]
  if paused['queue:' .. queue] then
    ended[number] = true
  end
  while quota > 0 and bytes < bytes_limit and not ended[number] do
    local at = offset[number] or 0
    local asked = math.min(PAGE, quota + 8)
    local page = redis.pcall('ZRANGEBYSCORE', queue, '-inf', now, 'WITHSCORES', 'LIMIT', at, asked)
    if page.err or #page == 0 or at > SCAN_LIMIT then
      ended[number] = true
      break
    end
    for i = 1, #page, 2 do
      if quota == 0 or bytes >= bytes_limit then
        break
      end
      at = at + 1
      local id = page[i]
      if lock(id) then
        take(number, id, page[i + 1])
        parking[number] = parking[number] or {}
        local park = parking[number]
        park[#park + 1] = parked_score
        park[#park + 1] = id
        quota = quota - 1
      end
    end
    if #page < 2 * asked and at == (offset[number] or 0) + #page / 2 then
      ended[number] = true
    end
    offset[number] = at
  end
  return quota
end

local wanted = 6 + #KEYS
local free = limit
if #ARGV > wanted then
  for i = wanted + 1, #ARGV do
    local id = ARGV[i]
    local score = redis.call('ZSCORE', KEYS[1], id)
    if score and tonumber(score) <= now and lock(id) then
      take(1, id, score)
      parking[1] = parking[1] or {}
      local park = parking[1]
      park[#park + 1] = parked_score
      park[#park + 1] = id
    end
  end
else
  for number = 1, #KEYS do
    local kept = 0
    for later = number + 1, #KEYS do
      kept = kept + tonumber(ARGV[6 + later])
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
  local ahead = redis.pcall('ZRANGEBYSCORE', KEYS[number], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if ahead[2] and (next_due == '' or tonumber(ahead[2]) < tonumber(next_due)) then
    next_due = ahead[2]
  end
end

for number, park in pairs(parking) do
  redis.call('ZADD', KEYS[number], unpack(park))
end
return { now, next_due, more, paused_functions, jobs }
