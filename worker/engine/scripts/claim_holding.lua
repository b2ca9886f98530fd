-- Holding a job: its lock, and what is to be known of it once it is locked.
--
-- Included by claim.lua, after claim_quarantine.lua. `jobs` are those taken, `parking` the scores at which they are to wait
-- for their worker's death.
--
-- reads  arq:job:<id>, arq:retry:<id>, arq:errors:<id>, arq:abort, the life of arq:worker:<worker>
-- writes arq:in-progress:<id>, arq:crashes:<id>, the life of arq:job:<id>; of a job that is put off the queue and
--        arq:leases:<queue>
local PUT_OFF_MS = 200
local NO_KEY = 'arq:room'
local HEAD_BYTES = 512
local MOST_COUNTED = 1e9
local ERRORS_KEPT = 20
local LONGEST_ERROR = 16384
local LONGEST_PUT_OFF_MS = 1000

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

local put_off_now = 0

-- Let a job stay parked for a while, at no cost: the worker that had it may take it back, or another that is empty.
local function put_off(queue, id, ms)
  put_off_now = put_off_now + 1
  local score = string.format('%.1f', now + ms + 0.5)
  redis.call('DEL', 'arq:in-progress:' .. id)
  redis.call('ZADD', queue, score, id)
  redis.pcall('ZADD', 'arq:leases:' .. queue, score, id)
end

-- What its earlier claims failed of. Only a job that was claimed before can have any, which is not looked for otherwise.
local function errors_of(id, was_claimed)
  local errors = was_claimed and redis.pcall('LRANGE', 'arq:errors:' .. id, -ERRORS_KEPT, -1) or {}
  local sound = {}
  for _, each in ipairs(errors) do
    if #each <= LONGEST_ERROR then
      sound[#sound + 1] = each
    end
  end
  return sound
end

local function is_parked(score)
  local number = tonumber(score)
  return number ~= math.floor(number) and number < math.huge and number > -math.huge
end

local jobs, bytes = {}, 0
local parked_score = string.format('%.1f', now + lease + 0.5)
local parking = {}

-- Read what locked jobs are made of; what would exceed the bytes, and what must run alone and cannot, or has a worker that
-- may come back, is unlocked again. Returns how many were.
local function take(number, ids, scores)
  if #ids == 0 then
    return 0
  end
  local names, sizes = {}, {}
  for i, id in ipairs(ids) do
    local size = redis.pcall('STRLEN', 'arq:job:' .. id)
    sizes[i] = type(size) == 'number' and size > longest_body and size or 0
    names[i] = sizes[i] > 0 and NO_KEY or 'arq:job:' .. id
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
    local crashes = 0
    if was_lost then
      crashes = crashes_of(KEYS[number], id, scores[i])
    end
    local in_quarantine = was_lost and crashes and is_in_quarantine(crashes)
    if not crashes then
      put_off(KEYS[number], id, LONGEST_PUT_OFF_MS)
      unlocked = unlocked + 1
    elseif in_quarantine and (holds == HOLDS_JOBS or #jobs > 0) then
      waits_for_turn = true
      put_off(KEYS[number], id, PUT_OFF_MS)
      unlocked = unlocked + 1
    else
      local job = 'arq:job:' .. id
      local body, retries = found[i], found[#ids + i]
      if sizes[i] > 0 then
        body = redis.call('GETRANGE', job, 0, HEAD_BYTES - 1)
      end
      local misshapen = not body and redis.call('EXISTS', job) or 0
      local aborted = look_for_aborts and type(redis.pcall('ZSCORE', 'arq:abort', id)) == 'string'
      -- If a body expired under its claim, its id could be enqueued anew, and the end of this claim would end both.
      redis.call('PERSIST', job)
      if crashes > 0 then
        redis.call('SET', 'arq:crashes:' .. id, crashes, 'EX', RETRY_LIFE_S)
      end
      bytes = bytes + (body and #body or 0)
      if in_quarantine then
        run_alone(id)
        bytes = math.huge
      end
      jobs[#jobs + 1] = { number, id, scores[i], body, (whole(retries, MOST_COUNTED) or 0) + 1, crashes,
        aborted and 1 or 0, misshapen, errors_of(id, retries or was_lost), sizes[i] }
      park[#park + 1] = parked_score
      park[#park + 1] = id
    end
  end
  return unlocked
end
