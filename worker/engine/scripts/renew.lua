-- Prolong the leases of running jobs, and say which of them are lost.
--
-- KEYS   the queues
-- ARGV   lease ms, then three a job: queue number, id, token
-- writes arq:in-progress:<id>, the parked scores
--
-- returns the ids that somebody else claimed, ended or enqueued anew meanwhile
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease = tonumber(ARGV[1])
local parked_score = string.format('%.1f', now + lease + 0.5)
local lost = {}

for i = 2, #ARGV, 3 do
  local queue, id, token = KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2]
  local key = 'arq:in-progress:' .. id
  local owner = redis.pcall('GET', key)
  if owner == token then
    redis.call('PEXPIRE', key, lease)
    redis.call('ZADD', queue, 'XX', parked_score, id)
  elseif owner == false then
    local score = redis.call('ZSCORE', queue, id)
    if score and tonumber(score) ~= math.floor(tonumber(score)) then
      -- Run out while we were cut off, and nobody has taken it: it is still ours.
      redis.call('SET', key, token, 'PX', lease)
      redis.call('ZADD', queue, 'XX', parked_score, id)
    elseif score then
      lost[#lost + 1] = id
    end
    -- No score at all: the server lost its data. The run goes on, its result will be kept.
  else
    lost[#lost + 1] = id
  end
end
return lost
