-- Make a job a dead letter: its body and all its errors are kept in the step that removes it.
--
-- KEYS   the job's queue
-- ARGV   id, token ('' = not fenced), remove the job (1) or only copy it (0, for stock workers, which remove it
--        themselves), function, reason, errors of this attempt (JSON array), tries, worker, enqueued (ms or ''),
--        most letters kept, life of the result (ms; 0 for ever, -1 none), result, body as claimed ('' if it had none)
-- reads  arq:job:<id>, arq:errors:<id>, arq:crashes:<id>, arq:holders:<queue>
-- writes arq:dead:letter:<id>, arq:dead:letters, arq:dead:counts, arq:result:<id>;
--        deletes arq:job, retry, errors, crashes, unknown, in-progress of the job, its entries in the queue,
--        arq:leases:<queue> and arq:holders:<queue>, and its abort mark
-- include holder
--
-- returns {1 buried | 2 buried before | 0 not ours any more, nothing done, id evicted to make room, …}
local queue, id, token, remove = KEYS[1], ARGV[1], ARGV[2], ARGV[3] == '1'
local name, reason, failures, tries, worker = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local enqueued, most, life, result, claimed_body = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12], ARGV[13]
local letter = 'arq:dead:letter:' .. id

if token ~= '' then
  local owner = redis.pcall('GET', 'arq:in-progress:' .. id)
  if owner ~= token then
    if owner ~= false or not nobody_has_claimed_since(queue, id, token) then
      -- An answer may have been lost on its way: then the letter is there, and its writer is told so.
      local writer = redis.pcall('HGET', letter, 'token')
      return { writer == token and 2 or 0 }
    end
  end
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local body = redis.pcall('GET', 'arq:job:' .. id)
if type(body) ~= 'string' then
  body = claimed_body ~= '' and claimed_body or false
end
local crashes = redis.pcall('GET', 'arq:crashes:' .. id)
local earlier = redis.pcall('LRANGE', 'arq:errors:' .. id, 0, -1)
local errors = failures
if not earlier.err and #earlier > 0 then
  local told = string.sub(failures, 2, -2)
  errors = '[' .. table.concat(earlier, ',') .. (told ~= '' and ',' or '') .. told .. ']'
end

redis.call('DEL', letter)
redis.call('HSET', letter, 'function', name, 'queue', queue, 'reason', reason, 'errors', errors, 'tries', tries,
  'crashes', type(crashes) == 'string' and crashes or '0', 'enqueued_ms', enqueued, 'died_ms', string.format('%.0f', now),
  'worker', worker, 'token', token)
if body then
  redis.call('HSET', letter, 'body', body)
end
redis.call('ZADD', 'arq:dead:letters', string.format('%.0f', now), id)
redis.call('HINCRBY', 'arq:dead:counts', 'buried', 1)

if remove then
  redis.call('DEL', 'arq:job:' .. id, 'arq:retry:' .. id, 'arq:errors:' .. id, 'arq:crashes:' .. id,
    'arq:unknown:' .. id, 'arq:in-progress:' .. id)
  if life == 0 then
    redis.call('SET', 'arq:result:' .. id, result)
  elseif life > 0 then
    redis.call('SET', 'arq:result:' .. id, result, 'PX', life)
  end
  redis.pcall('ZREM', queue, id)
  let_go(queue, id)
  redis.pcall('ZREM', 'arq:abort', id)
end

local answer = { 1 }
local surplus = redis.call('ZCARD', 'arq:dead:letters') - most
if most > 0 and surplus > 0 then
  local oldest = redis.call('ZRANGE', 'arq:dead:letters', 0, surplus - 1)
  for _, old in ipairs(oldest) do
    redis.call('DEL', 'arq:dead:letter:' .. old)
    redis.call('ZREM', 'arq:dead:letters', old)
    answer[#answer + 1] = old
  end
  redis.call('HINCRBY', 'arq:dead:counts', 'evicted', #oldest)
end
return answer
