-- Pauses, as a claim meets them: shelves of what is resumed are cleared, due jobs of what is paused go on theirs.
--
-- Included by claim.lua, after typed.lua and shelf.lua. Sets `paused` (queue:… and function:…), `paused_functions` and `any_shelf`.
--
-- reads  arq:paused, arq:abort, arq:shelves:<queue>
-- writes arq:shelves:<queue>, the queues
local SHELVE_LIMIT = 500

local paused, paused_functions, any_shelf = {}, {}, false

-- Where something else stood in the place of the shelves, know those of paused functions again by their first jobs.
local function know_shelves(queue)
  local key = 'arq:shelves:' .. queue
  if not is_wrong_type(redis.pcall('HLEN', key)) then
    return
  end
  set_aside(key)
  for number = 0, SHELVES - 1 do
    local from = SHELVES_FROM_MS + number * SHELF_WIDTH_MS
    local beyond = string.format('(%.0f', from + SHELF_WIDTH_MS)
    local first = redis.pcall('ZRANGEBYSCORE', queue, from, beyond, 'LIMIT', 0, 1)[1]
    local name = first and function_of(first)
    if name and paused['function:' .. name] then
      redis.call('HSET', key, name, number)
    end
  end
end

local steering = { 'arq:paused' }
for number, queue in ipairs(KEYS) do
  steering[number + 1] = 'arq:shelves:' .. queue
end
if redis.call('EXISTS', unpack(steering)) > 0 then
  make_room()
  for _, entry in ipairs(run('HKEYS', 'arq:paused')) do
    paused[entry] = true
    if string.sub(entry, 1, 9) == 'function:' then
      paused_functions[#paused_functions + 1] = string.sub(entry, 10)
    end
  end
  for _, queue in ipairs(KEYS) do
    know_shelves(queue)
    local in_use = clear_shelves(queue, function(name)
      return paused['function:' .. name]
    end)
    any_shelf = any_shelf or in_use
  end
  -- Its producer has given it up, which no pause puts off.
  for _, id in ipairs(any_shelf and look_for_aborts and redis.pcall('ZREVRANGE', 'arq:abort', 0, PAGE) or {}) do
    for _, queue in ipairs(KEYS) do
      local score = redis.pcall('ZSCORE', queue, id)
      if type(score) == 'string' and is_shelved(score) then
        redis.call('ZADD', queue, unshelved(score), id)
      end
    end
  end
end

local shelved_now, shelving, shelves = 0, {}, {}

-- Note that a job goes on its shelf if its function is paused, and tell whether it does.
local function shelve(queue, id, score)
  if #paused_functions == 0 then
    return false
  end
  local name = function_of(id)
  if not name or not paused['function:' .. name] or (look_for_aborts and redis.pcall('ZSCORE', 'arq:abort', id)) then
    return false
  end
  local shelf = shelves[name] or shelf_of(queue, name)
  if not shelf then
    return false
  end
  shelves[name], any_shelf, shelved_now = shelf, true, shelved_now + 1
  shelving[#shelving + 1] = shelved_score(shelf, score)
  shelving[#shelving + 1] = id
  return true
end

-- Put what was noted on the shelves of the queue.
local function put_on_shelves(queue)
  if #shelving > 0 then
    redis.call('ZADD', queue, unpack(shelving))
    shelving, shelves = {}, {}
  end
end
