-- Put jobs whose payloads are kept elsewhere into Redis, each unless it is there: waiting, running or dead.
--
-- Keys it touches, of every job id given:
--   the queue named           ZADD, the score is the due time in unix ms; read
--   arq:job:<id>              SET the payload, without expiry; read
--   arq:in-progress:<id> arq:dead:letter:<id>
--                             read
--   arq:result:<id> arq:retry:<id> arq:errors:<id> arq:crashes:<id> arq:unknown:<id> arq:abort
--                             removed: what an earlier run of this job left behind
--
-- ARGV  for each job its id, its queue and its payload
-- Answers a 1 for each job that was put in and a 0 for each that was there.

local time = redis.call('TIME')
local now_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local answers = {}
for i = 1, #ARGV, 3 do
  local id, queue, body = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local job = 'arq:job:' .. id
  local held = redis.call('EXISTS', 'arq:in-progress:' .. id, 'arq:dead:letter:' .. id) > 0
  -- A payload without its place in the queue, or the other way round, is half lost: nobody would ever run it.
  local waits = redis.call('EXISTS', job) == 1 and redis.call('ZSCORE', queue, id)
  if held or waits then
    answers[#answers + 1] = 0
  else
    -- ZADD comes first because Redis may refuse it, and a script that fails halfway is not undone.
    redis.call('ZADD', queue, now_ms, id)
    redis.call('SET', job, body)
    redis.call('DEL', 'arq:result:' .. id, 'arq:retry:' .. id, 'arq:errors:' .. id, 'arq:crashes:' .. id,
      'arq:unknown:' .. id)
    redis.pcall('ZREM', 'arq:abort', id)
    answers[#answers + 1] = 1
  end
end
return answers
