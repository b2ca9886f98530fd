-- End jobs for good: the result appears and the job disappears in one step, for the owner of the lease only.
--
-- KEYS   the queues
-- ARGV   six a job: queue number, id, token, life of the result (ms; 0 for ever, -1 none), how long the lease's key
--        stays (ms; cron jobs), result
-- writes arq:result:<id>; deletes arq:job, retry, errors, crashes, unknown, in-progress of the job, its queue entry
--        and its mark in arq:abort
--
-- returns one number a job: 1 ended, 2 the job was gone and only its result was kept, 0 not ours any more, nothing done.
-- Doing it twice is dull. The DEL comes first: it makes room, and a server that is out of memory lets a script which
-- has begun to write go on.
local any_abort = redis.call('EXISTS', 'arq:abort') == 1
local answers = {}

local function keep(id, life, result, how)
  local key = 'arq:result:' .. id
  if life == 0 then
    redis.call('SET', key, result, unpack(how))
  elseif life > 0 then
    redis.call('SET', key, result, 'PX', life, unpack(how))
  end
end

for i = 1, #ARGV, 6 do
  local queue, id, token = KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2]
  local life, stay, result = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), ARGV[i + 5]
  local lease = 'arq:in-progress:' .. id
  local owner = redis.pcall('GET', lease)
  local ours = owner == token
  local gone = false
  if owner == false then
    -- The lease ran out, or the server lost its data. A parked score means that nobody else has claimed it since.
    local score = redis.call('ZSCORE', queue, id)
    ours = score and tonumber(score) ~= math.floor(tonumber(score))
    gone = not score and redis.call('EXISTS', 'arq:job:' .. id) == 0
  end
  if ours then
    redis.call('DEL', 'arq:job:' .. id, 'arq:retry:' .. id, 'arq:errors:' .. id, 'arq:crashes:' .. id,
      'arq:unknown:' .. id)
    if stay > 0 then
      redis.call('SET', lease, token, 'PX', stay)
    else
      redis.call('DEL', lease)
    end
    keep(id, life, result, {})
    redis.call('ZREM', queue, id)
    if any_abort then
      redis.pcall('ZREM', 'arq:abort', id)
    end
    answers[#answers + 1] = 1
  elseif gone then
    keep(id, life, result, { 'NX' })
    answers[#answers + 1] = 2
  else
    answers[#answers + 1] = 0
  end
end
return answers
