-- Put claimed jobs back into their queues, to run again: at their old place, after a delay, or when their function is
-- resumed.
--
-- KEYS   the queues
-- ARGV   eleven a job: queue number, id, token, tries that count from now on, delay (ms; '' = at the old score),
--        old score, errors (JSON objects, a line each; '' none), grace (ms; '' none: how long the function may stay unknown), paused
--        function on whose shelf it is put with its old score ('' none; after the delay if there is no shelf for it),
--        why at no cost ('' if the try counts), longest delay (ms; '' = the delay does not grow with each such return)
-- writes the queues, arq:shelves:<queue>, arq:retry:<id>, arq:errors:<id>, arq:unknown:<id>, arq:handed-back:<id>;
--        deletes arq:in-progress:<id>, its entries in arq:leases:<queue> and arq:holders:<queue>
--
-- returns one number a job: 1 put back, 0 not ours any more, nothing done, 3 the grace is over, nothing done
-- include typed
-- include shelf
-- include holder
local RETRY_LIFE_S = 88400
local ERRORS_KEPT = 20

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local answers = {}

local function ours(queue, id, token)
  local owner = text_of('arq:in-progress:' .. id)
  return owner == token or (not owner and nobody_has_claimed_since(queue, id, token))
end

local function grace_over(id, grace)
  if grace == '' then
    return false
  end
  local key = 'arq:unknown:' .. id
  local since = whole(text_of(key), now)
  if not since then
    redis.call('SET', key, now, 'PX', grace * 2)
  end
  return since ~= nil and now - since >= tonumber(grace)
end

-- A queue that is none any more refuses now, before the lease is given up for it.
local looked_at = {}
for i = 1, #ARGV, 11 do
  if not looked_at[ARGV[i]] then
    redis.call('ZCARD', KEYS[tonumber(ARGV[i])])
    looked_at[ARGV[i]] = true
  end
end

for i = 1, #ARGV, 11 do
  local queue, id, token, tries = KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local delay, score, failures, grace = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7]
  local paused_function, why, longest = ARGV[i + 8], ARGV[i + 9], tonumber(ARGV[i + 10])
  if not ours(queue, id, token) then
    answers[#answers + 1] = 0
  elseif grace_over(id, grace) then
    answers[#answers + 1] = 3
  else
    redis.call('DEL', 'arq:in-progress:' .. id)
    let_go(queue, id)
    local errors_key = 'arq:errors:' .. id
    if failures ~= '' then
      for failure in string.gmatch(failures, '[^\n]+') do
        run('RPUSH', errors_key, failure)
      end
      redis.pcall('LTRIM', errors_key, -ERRORS_KEPT, -1)
      redis.call('EXPIRE', errors_key, RETRY_LIFE_S)
    end
    -- Also with no try that counts: the key tells the next claim that there are errors to be read.
    if tries > 0 or redis.call('EXISTS', errors_key) == 1 then
      redis.call('SET', 'arq:retry:' .. id, tries, 'EX', RETRY_LIFE_S)
    else
      redis.call('DEL', 'arq:retry:' .. id)
    end
    if why ~= '' then
      local key = 'arq:handed-back:' .. id
      local times = count(key, 'n:' .. why, 1)
      if longest and delay ~= '' and type(times) == 'number' then
        delay = math.min(tonumber(delay) * 2 ^ math.max(times - 1, 0), longest)
      end
      run('HSET', key, 'at:' .. why, now, 'by:' .. why, string.match(token, '^(.*):%d+$') or token)
      redis.call('EXPIRE', key, RETRY_LIFE_S)
    end
    local due = delay == '' and tonumber(score) or now + tonumber(delay)
    local shelf = paused_function ~= '' and shelf_of(queue, paused_function)
    redis.call('ZADD', queue, shelf and shelved_score(shelf, score) or string.format('%.0f', due), id)
    answers[#answers + 1] = 1
  end
end
return answers
