-- Enqueue a dead letter's body again as if it were new.
--
-- ARGV   id
-- reads  arq:in-progress:<id>
-- writes arq:job:<id>, the letter's queue, arq:dead:counts; deletes arq:result, retry, errors, crashes, unknown of
--        the job, the letter and its entry in arq:dead:letters
--
-- include typed
--
-- returns 'replayed', 'missing' (no such letter), 'empty' (its body had expired) or 'queued' (the id is in use again)
local id = ARGV[1]
local letter = 'arq:dead:letter:' .. id
local queue = redis.pcall('HGET', letter, 'queue')
if type(queue) ~= 'string' then
  return 'missing'
end
local body = redis.call('HGET', letter, 'body')
if not body then
  return 'empty'
end
if redis.call('EXISTS', 'arq:job:' .. id, 'arq:in-progress:' .. id) > 0 then
  return 'queued'
end
local clock = redis.call('TIME')
-- ZADD comes first because Redis may refuse it, and a script that fails halfway is not undone.
redis.call('ZADD', queue, string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)), id)
redis.call('DEL', 'arq:result:' .. id, 'arq:retry:' .. id, 'arq:errors:' .. id, 'arq:crashes:' .. id,
  'arq:unknown:' .. id, 'arq:handed-back:' .. id)
redis.call('SET', 'arq:job:' .. id, body)
redis.call('DEL', letter)
redis.pcall('ZREM', 'arq:dead:letters', id)
count('arq:dead:counts', 'replayed', 1)
return 'replayed'
