-- Enqueue jobs, each unless it is there already. One call, one round trip, all of them or (on an error) none.
--
-- Keys it touches, of every job id given:
--   KEYS[1]               the queue: ZADD, the score is the due time in unix ms; read
--   arq:job:<id>          SET the payload, without expiry: it lives until its job ends
--   arq:result:<id>       read if the job may run once only, else removed
--   arq:in-progress:<id>  read
--   arq:enqueued          HINCRBY the job's function: how many were enqueued
--   arq:retry:<id> arq:errors:<id> arq:crashes:<id> arq:unknown:<id> arq:handed-back:<id> arq:abort
--                         removed: what an earlier job of this id left behind is not this job's
--
-- ARGV[1]  earliest due time in unix ms, 0 for now
-- ARGV[2]  delay in ms, 0 for none
-- ARGV[3…] for each job its id, '1' if a stored result means that it is done for good else '0', and its
--          payload up to the enqueue time
-- Answers a 1 for each job that was enqueued and a 0 for each that was there already.

-- Redis's clock and no other: producers' clocks differ, and a job from a fast one would start late.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local due_ms = math.max(now_ms + ARGV[2], tonumber(ARGV[1]))
local tail = string.format('%.0f}', now_ms)

-- Jobs of one score would be claimed in the order of their ids. So those that are due now get a millisecond each, the
-- last of them now, none earlier than what waits already; where those run out, the rest shares the last.
local jobs = (#ARGV - 2) / 3
local step = 0
if due_ms == now_ms and jobs > 1 then
  local waiting = redis.call('ZREVRANGEBYSCORE', KEYS[1], now_ms, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  due_ms = math.floor(math.min(math.max(now_ms - jobs + 1, (tonumber(waiting) or 0) + 1), now_ms))
  step = 1
end

-- include counting

local answers = {}
for i = 3, #ARGV, 3 do
  local id, once, head = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local job, result, in_progress = 'arq:job:' .. id, 'arq:result:' .. id, 'arq:in-progress:' .. id
  local known
  if once == '1' then
    known = redis.call('EXISTS', job, in_progress, result)
  else
    known = redis.call('EXISTS', job, in_progress)
  end
  if known == 0 then
    -- ZADD comes first because Redis may refuse it, for want of memory or because the key is of another type, and
    -- a script that fails halfway is not undone. Any other write before it would lift Redis's guard on memory.
    redis.call('ZADD', KEYS[1], string.format('%.0f', due_ms), id)
    due_ms = step == 1 and math.min(due_ms + 1, now_ms) or due_ms
    redis.call('SET', job, head .. tail)
    redis.call('DEL', result, 'arq:retry:' .. id, 'arq:errors:' .. id, 'arq:crashes:' .. id, 'arq:unknown:' .. id,
      'arq:handed-back:' .. id)
    redis.pcall('ZREM', 'arq:abort', id)
    note_enqueued(head)
    answers[#answers + 1] = 1
  else
    answers[#answers + 1] = 0
  end
end
count_enqueued()
return answers
