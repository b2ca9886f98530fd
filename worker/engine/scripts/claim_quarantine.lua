-- Quarantine: which lapsed leases are crashes, and which jobs run alone.
--
-- Included by claim.lua, before claim_holding.lua. A lapsed lease is not a death: its worker may only be slow, or have been
-- killed from outside. So the first lapses of a job only bring it into quarantine, where it runs alone in its worker.
-- There one counts if the worker's record has expired, and no other worker was lost at the same time, unless that one ran
-- a job in quarantine too.
--
-- reads  arq:holders:<queue>, arq:crashes:<id>, arq:worker:<worker>, arq:workers
-- writes arq:quarantine        worker → the job in quarantine that it runs alone; also after the worker is lost
--        arq:quarantine:turn   the worker that takes no other jobs until it is empty and can run the next one
local RETRY_LIFE_S = 88400
local QUARANTINE = 'arq:quarantine'
local TURN = 'arq:quarantine:turn'
local TURN_MS = 30000
local HOLDS_JOBS, IS_EMPTIED = '1', '2'

local function worker_of(claim_token)
  return string.match(claim_token, '^(.*):%d+$') or claim_token
end

local caller = worker_of(token)
local runs_alone, waits_for_turn = false, false

-- A worker that claims runs no job alone, whatever it ran before.
if redis.call('EXISTS', QUARANTINE) == 1 then
  redis.pcall('HDEL', QUARANTINE, caller)
end

local function known_crashes(id)
  return whole(text_of('arq:crashes:' .. id), 999) or 0
end

local function last_beat(worker)
  local seen = redis.pcall('ZSCORE', 'arq:workers', worker)
  return type(seen) == 'string' and tonumber(seen) or nil
end

local function was_lost_with_others(worker)
  local seen = last_beat(worker)
  if not seen then
    return false
  end
  local from, to = string.format('%.0f', seen - 1.5 * beat), string.format('%.0f', seen + 1.5 * beat)
  for _, other in ipairs(redis.pcall('ZRANGEBYSCORE', 'arq:workers', from, to)) do
    -- The caller lives, however late its heartbeat is.
    if other ~= worker and other ~= caller and redis.pcall('HEXISTS', QUARANTINE, other) == 0 then
      return true
    end
  end
  return false
end

-- The crashes of a job whose lease has lapsed, this one with them if it is one. Nil while its worker may come back.
local function crashes_of(queue, id, score)
  local crashes = known_crashes(id)
  local holder = redis.pcall('HGET', 'arq:holders:' .. queue, id)
  local worker = type(holder) == 'string' and worker_of(holder) or ''
  if crashes < quarantine_from then
    local lives = (last_beat(worker) or 0) > tonumber(score)
    return lives and crashes or crashes + 1
  end
  local ran_alone = redis.pcall('HGET', QUARANTINE, worker)
  if ran_alone ~= id and type(ran_alone) ~= 'table' then
    return crashes
  end
  if redis.call('EXISTS', 'arq:worker:' .. worker) == 1 then
    return nil
  end
  return was_lost_with_others(worker) and crashes or crashes + 1
end

local function is_in_quarantine(crashes)
  return crashes >= quarantine_from and crashes < dead_from
end

local function run_alone(id)
  runs_alone = true
  run('HSET', QUARANTINE, caller, id)
  redis.call('EXPIRE', QUARANTINE, RETRY_LIFE_S)
end

-- Whether the caller takes no more jobs from now on, until it is empty and takes the next one in quarantine.
local function takes_turn()
  if not waits_for_turn and holds ~= IS_EMPTIED then
    return 0
  end
  local turn = run('GET', TURN)
  if turn == caller or turn and redis.call('PTTL', TURN) == -1 then
    redis.call('DEL', TURN)
  end
  return waits_for_turn and redis.call('SET', TURN, caller, 'NX', 'PX', TURN_MS) and 1 or 0
end
