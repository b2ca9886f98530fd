-- Holders: which claim of ours had a job last, also when its lease has run out. So a worker that was cut off for longer
-- than its lease still ends its job if nobody has claimed it since, and changes nothing if somebody has.
--
-- Included, after typed.lua, by finish.lua, give_back.lua, bury.lua, renew.lua and recover.lua.
--
-- reads   arq:holders:<queue>   job id → token; written by claim.lua
-- deletes its fields, and entries of arq:leases:<queue>

-- Whether a job without a lease still waits for its claim to be ended, and no other was made since. The half in its score
-- says the first. Without a holder (an older worker made the claim, or the key is of another type) it must do for both.
local function nobody_has_claimed_since(queue, id, token)
  local score = redis.pcall('ZSCORE', queue, id)
  if type(score) == 'table' then
    return true -- the queue is no queue any more, out of which nobody can have claimed
  end
  if not score or tonumber(score) == math.floor(tonumber(score)) then
    return false
  end
  local holder = redis.pcall('HGET', 'arq:holders:' .. queue, id)
  return type(holder) ~= 'string' or holder == token
end

-- Strike jobs from what is held.
local function let_go(queue, ...)
  run('ZREM', 'arq:leases:' .. queue, ...)
  run('HDEL', 'arq:holders:' .. queue, ...)
end
