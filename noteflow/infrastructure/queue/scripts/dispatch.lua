-- Put jobs whose payloads are kept elsewhere into Redis, each unless it is there: waiting, running or dead.
--
-- Keys it touches, of every job id given:
--   the queue named           ZADD, the score is the due time in unix ms; read
--   arq:job:<id>              SET the payload, without expiry; read
--   arq:enqueued              HINCRBY the job's function: how many were enqueued
--   arq:in-progress:<id> arq:dead:letter:<id>
--                             read
--   arq:result:<id> arq:retry:<id> arq:errors:<id> arq:crashes:<id> arq:unknown:<id> arq:handed-back:<id> arq:abort
--                             removed: what an earlier run of this job left behind
--
-- ARGV  for each job its id, its queue and its payload
-- Answers a 1 for each job that was put in, a 0 for each that was there, and a -1 for each whose queue is no queue.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- Jobs of one score would be claimed in the order of their ids. So each gets a millisecond of its own, the last of
-- them now, none earlier than what waits already; where those run out, the rest shares the last.
local next_ms = {}
local function due_ms(queue)
  local due = next_ms[queue]
  if not due then
    local last = redis.call('ZREVRANGEBYSCORE', queue, now_ms, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
    due = math.max(now_ms - #ARGV / 3 + 1, (tonumber(last) or 0) + 1)
  end
  due = math.min(math.floor(due), now_ms)
  next_ms[queue] = due + 1
  return string.format('%.0f', due)
end

-- One that is no queue must not hold up the jobs of the others.
local sound = {}
local function is_queue(queue)
  if sound[queue] == nil then
    local length = redis.pcall('ZCARD', queue)
    sound[queue] = type(length) == 'number'
    if not sound[queue] and not string.find(length.err, 'WRONGTYPE', 1, true) then
      redis.call('ZCARD', queue) -- what else ails the server is raised
    end
  end
  return sound[queue]
end

-- include counting

local answers = {}
for i = 1, #ARGV, 3 do
  local id, queue, body = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local job = 'arq:job:' .. id
  local held = redis.call('EXISTS', 'arq:in-progress:' .. id, 'arq:dead:letter:' .. id) > 0
  -- A payload without its place in the queue, or the other way round, is half lost: nobody would ever run it.
  local waits = is_queue(queue) and redis.call('EXISTS', job) == 1 and redis.call('ZSCORE', queue, id)
  if held or waits then
    answers[#answers + 1] = 0
  elseif not is_queue(queue) then
    answers[#answers + 1] = -1
  else
    -- ZADD comes first because Redis may refuse it, and a script that fails halfway is not undone.
    redis.call('ZADD', queue, due_ms(queue), id)
    redis.call('SET', job, body)
    redis.call('DEL', 'arq:result:' .. id, 'arq:retry:' .. id, 'arq:errors:' .. id, 'arq:crashes:' .. id,
      'arq:unknown:' .. id, 'arq:handed-back:' .. id)
    redis.pcall('ZREM', 'arq:abort', id)
    note_enqueued(body)
    answers[#answers + 1] = 1
  end
end
count_enqueued()
return answers
