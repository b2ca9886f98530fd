-- End jobs for good: the result appears and the job disappears in one step, for the owner of the lease only.
--
-- KEYS   the queues
-- ARGV   six a job: queue number, id, token, life of the result (ms; 0 for ever, -1 none), how long the lease's key
--        stays (ms; cron jobs), result
-- reads  arq:holders:<queue>
-- writes arq:result:<id>; deletes arq:job, retry, errors, crashes, unknown, in-progress of the job, its entries in
--        the queue, arq:leases:<queue> and arq:holders:<queue>, and its mark in arq:abort
-- include typed
-- include holder
--
-- A lease that stays says that its job has ended, or an end that is said twice would end the next job of the id.
-- returns one number a job: 1 ended, 2 the job was gone and only its result was kept, 0 not ours any more, nothing done.
-- Doing it twice is dull. The DEL comes first: it makes room, and a server that is out of memory lets a script which
-- has begun to write go on.
local function keep(id, life, result, ...)
  local key = 'arq:result:' .. id
  if life == 0 then
    redis.call('SET', key, result, ...)
  elseif life > 0 then
    redis.call('SET', key, result, 'PX', life, ...)
  end
end

local leases = {}
for i = 2, #ARGV, 6 do
  leases[#leases + 1] = 'arq:in-progress:' .. ARGV[i]
end
local owners = redis.call('MGET', unpack(leases))

local answers, doomed, leaving = {}, {}, {}
for n, owner in ipairs(owners) do
  local i = 6 * n - 5
  local number, id = tonumber(ARGV[i]), ARGV[i + 1]
  local answer = owner == ARGV[i + 2] and 1 or owner == 'ended:' .. ARGV[i + 2] and 2 or 0
  if not owner then
    -- The lease ran out, or the server lost its data.
    if nobody_has_claimed_since(KEYS[number], id, ARGV[i + 2]) then
      answer = 1
    elseif not redis.call('ZSCORE', KEYS[number], id) and redis.call('EXISTS', 'arq:job:' .. id) == 0 then
      answer = 2
    end
  end
  answers[n] = answer
  if answer == 1 then
    for _, prefix in ipairs({ 'arq:in-progress:', 'arq:job:', 'arq:retry:', 'arq:errors:', 'arq:crashes:', 'arq:unknown:' }) do
      doomed[#doomed + 1] = prefix .. id
    end
    leaving[number] = leaving[number] or {}
    table.insert(leaving[number], id)
  end
end

if #doomed > 0 then
  redis.call('DEL', unpack(doomed))
end
for n, answer in ipairs(answers) do
  local i = 6 * n - 5
  local id, life, stay, result = ARGV[i + 1], tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), ARGV[i + 5]
  if answer == 1 then
    keep(id, life, result)
    if stay > 0 then
      redis.call('SET', leases[n], 'ended:' .. ARGV[i + 2], 'PX', stay)
    end
  elseif answer == 2 then
    keep(id, life, result, 'NX')
  end
end
local any_abort = redis.call('EXISTS', 'arq:abort') == 1
for number, ids in pairs(leaving) do
  redis.pcall('ZREM', KEYS[number], unpack(ids))
  let_go(KEYS[number], unpack(ids))
  if any_abort then
    redis.pcall('ZREM', 'arq:abort', unpack(ids))
  end
end
return answers
