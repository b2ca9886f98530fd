-- Hand back at once what a claim took whose answer never arrived, without charging the jobs for it.
--
-- KEYS   the queues
-- ARGV   the claim's token, lease ms
-- writes the queues; deletes arq:in-progress:<id>, its entries in arq:leases:<queue> and arq:holders:<queue>
-- include holder
--
-- returns how many were handed back
local SCAN_LIMIT = 20000
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local count = 0

for _, queue in ipairs(KEYS) do
  local until_ms = now + tonumber(ARGV[2]) + 1000
  local parked = redis.pcall('ZRANGEBYSCORE', queue, now, until_ms, 'WITHSCORES', 'LIMIT', 0, SCAN_LIMIT)
  if not parked.err then
    for i = 1, #parked, 2 do
      local id, score = parked[i], tonumber(parked[i + 1])
      local lease = 'arq:in-progress:' .. id
      if redis.pcall('GET', lease) == ARGV[1] then
        redis.call('DEL', lease)
        let_go(queue, id)
        -- What had no body may have been enqueued anew, for a time of its own.
        if score ~= math.floor(score) then
          redis.call('ZADD', queue, string.format('%.0f', now), id)
        end
        count = count + 1
      end
    end
  end
end
return count
