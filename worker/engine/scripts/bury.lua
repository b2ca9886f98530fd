-- Make a job a dead letter: its body and all its errors are kept in the step that removes it.
--
-- KEYS   the job's queue
-- ARGV   id, token ('' = not fenced), remove the job (1) or only copy it (0, for stock workers, which remove it
--        themselves), function, reason, errors of this attempt (JSON array), tries, worker, enqueued (ms or ''),
--        most letters kept, life of the result (ms; 0 for ever, -1 none), result, body as claimed ('' if it had none),
--        most bytes of a body that are kept ('' = all): a longer one is not, only its length; crashes ('' = none) with
--        which the job ends even if it was claimed again since: each claim ends it so
-- reads  arq:job:<id>, arq:errors:<id>, arq:crashes:<id>, arq:holders:<queue>
-- writes arq:dead:letter:<id>, arq:dead:letters, arq:dead:counts, arq:result:<id>;
--        deletes arq:job, retry, errors, crashes, unknown, in-progress of the job, its entries in the queue,
--        arq:leases:<queue> and arq:holders:<queue>, and its abort mark
-- include typed
-- include holder
--
-- returns {1 buried | 2 buried before | 0 not ours any more, nothing done, id evicted to make room, …}
local ERRORS_KEPT = 20
local LONGEST_ERROR = 16384

local queue, id, token, remove = KEYS[1], ARGV[1], ARGV[2], ARGV[3] == '1'
local name, reason, failures, tries, worker = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local enqueued, most, life, result, claimed_body = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12], ARGV[13]
local most_bytes, crashes_over = tonumber(ARGV[14] or '') or math.huge, tonumber(ARGV[15] or '')
local letter = 'arq:dead:letter:' .. id
local crashes = text_of('arq:crashes:' .. id)

if token ~= '' then
  local owner = text_of('arq:in-progress:' .. id)
  local is_over = crashes_over and (whole(crashes) or 0) >= crashes_over
  if owner ~= token and not is_over then
    if owner or not nobody_has_claimed_since(queue, id, token) then
      -- An answer may have been lost on its way: then the letter is there, and its writer is told so.
      local writer = redis.pcall('HGET', letter, 'token')
      return { writer == token and 2 or 0 }
    end
  end
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local size = redis.pcall('STRLEN', 'arq:job:' .. id)
size = type(size) == 'number' and size or 0
local body = size <= most_bytes and text_of('arq:job:' .. id) or nil
if not body and size <= most_bytes and claimed_body ~= '' then
  body = claimed_body
end
local earlier = {}
for _, each in ipairs(redis.pcall('LRANGE', 'arq:errors:' .. id, -ERRORS_KEPT, -1)) do
  if #each <= LONGEST_ERROR and type(select(2, pcall(cjson.decode, each))) == 'table' then
    earlier[#earlier + 1] = each
  end
end
local errors = failures
if #earlier > 0 then
  local told = string.sub(failures, 2, -2)
  errors = '[' .. table.concat(earlier, ',') .. (told ~= '' and ',' or '') .. told .. ']'
end

redis.call('DEL', letter)
redis.call('HSET', letter, 'function', name, 'queue', queue, 'reason', reason, 'errors', errors, 'tries', tries,
  'crashes', string.format('%.0f', whole(crashes, 1e9) or 0), 'enqueued_ms', enqueued, 'died_ms', string.format('%.0f', now),
  'worker', worker, 'token', token)
if body then
  redis.call('HSET', letter, 'body', body)
elseif size > most_bytes then
  redis.call('HSET', letter, 'body_bytes', size)
end
if is_wrong_type(redis.pcall('ZADD', 'arq:dead:letters', string.format('%.0f', now), id)) then
  set_aside('arq:dead:letters')
  -- The id that no job has asks the archiver to list all letters again.
  redis.call('ZADD', 'arq:dead:letters', 0, '', string.format('%.0f', now), id)
end
count('arq:dead:counts', 'buried', 1)

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
  count('arq:dead:counts', 'evicted', #oldest)
end
return answer
