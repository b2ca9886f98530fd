-- Prolong the leases of running jobs, and say which of them are lost.
--
-- KEYS   the queues
-- ARGV   lease ms, then three a job: queue number, id, token
-- reads  arq:holders:<queue>
-- writes arq:in-progress:<id>, the parked scores in the queues and in arq:leases:<queue>
-- include typed
-- include holder
--
-- returns the ids that somebody else claimed, ended or enqueued anew meanwhile
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease = tonumber(ARGV[1])
local parked_score = string.format('%.1f', now + lease + 0.5)
local lost, parking = {}, {}

for i = 2, #ARGV, 3 do
  local number, id, token = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  local key = 'arq:in-progress:' .. id
  local owner = text_of(key)
  local ours = owner == token and redis.call('PEXPIRE', key, lease) == 1
  if not owner then
    if nobody_has_claimed_since(KEYS[number], id, token) then
      -- Run out while we were cut off: it is still ours.
      ours = redis.call('SET', key, token, 'PX', lease) and true
    elseif redis.call('ZSCORE', KEYS[number], id) then
      lost[#lost + 1] = id
    end
    -- No score at all: the server lost its data. The run goes on, its result will be kept.
  elseif owner ~= token and owner ~= 'ended:' .. token then
    lost[#lost + 1] = id
  end
  if ours then
    local park = parking[number] or {}
    parking[number] = park
    park[#park + 1] = parked_score
    park[#park + 1] = id
  end
end

for number, park in pairs(parking) do
  redis.pcall('ZADD', KEYS[number], 'XX', unpack(park))
  run('ZADD', 'arq:leases:' .. KEYS[number], unpack(park))
end
return lost
