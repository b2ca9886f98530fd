-- Hand back at once what a claim took whose answer never arrived, without charging the jobs for it.
--
-- KEYS   the queues
-- ARGV   the claim's token, lease ms
-- reads  arq:leases:<queue>, since thousands of others may be due within a lease
-- writes the queues; deletes arq:in-progress:<id>, its entries in arq:leases:<queue> and arq:holders:<queue>
-- include typed
-- include holder
--
-- returns how many were handed back
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local count = 0

for _, queue in ipairs(KEYS) do
  local parked = redis.pcall('ZRANGEBYSCORE', 'arq:leases:' .. queue, now, now + tonumber(ARGV[2]) + 1000)
  if not parked.err then
    for _, id in ipairs(parked) do
      local lease = 'arq:in-progress:' .. id
      if text_of(lease) == ARGV[1] then
        redis.call('DEL', lease)
        let_go(queue, id)
        -- What had no body may have been enqueued anew, for a time of its own.
        local score = redis.pcall('ZSCORE', queue, id)
        if type(score) == 'string' and tonumber(score) ~= math.floor(tonumber(score)) then
          redis.call('ZADD', queue, string.format('%.0f', now), id)
        end
        count = count + 1
      end
    end
  end
end
return count
