-- Count the jobs that are enqueued, by their functions.
--
-- Included by enqueue.lua and dispatch.lua.
--
-- Keys it touches:
--   arq:enqueued  HINCRBY the job's function: how many were enqueued

local enqueued = {}

-- As our own producers write it; of a payload that was replayed and is a pickle the function is not known here.
local function note_enqueued(body)
  local name = string.match(body, '^{"t":null,"f":"([%w_%.]+)"')
  if name then
    enqueued[name] = (enqueued[name] or 0) + 1
  end
end

local function count_enqueued()
  for name, number in pairs(enqueued) do
    local counted = redis.pcall('HINCRBY', 'arq:enqueued', name, number)
    if type(counted) == 'table' and counted.err then
      -- Something else stands there, or in the field. A count is worth no job: it begins anew.
      if redis.call('TYPE', 'arq:enqueued').ok ~= 'hash' then
        redis.call('DEL', 'arq:enqueued')
      end
      redis.pcall('HDEL', 'arq:enqueued', name)
      redis.pcall('HINCRBY', 'arq:enqueued', name, number)
    end
  end
end
