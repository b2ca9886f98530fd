-- Say of jobs whether Redis has them: waiting with their payload, running, or dead.
--
-- Keys it touches, of every job id given, all only read:
--   the queue named, arq:job:<id> arq:in-progress:<id> arq:dead:letter:<id>
--
-- ARGV  for each job its id and its queue
-- Answers a 1 for each job that is there and a 0 for each that is not, or that is only half there.

local answers = {}
for i = 1, #ARGV, 2 do
  local id, queue = ARGV[i], ARGV[i + 1]
  if redis.call('EXISTS', 'arq:in-progress:' .. id, 'arq:dead:letter:' .. id) > 0 then
    answers[#answers + 1] = 1
  else
    -- A payload without its place in the queue, or the other way round: nobody would ever run it.
    local waits = redis.call('EXISTS', 'arq:job:' .. id) == 1 and redis.pcall('ZSCORE', queue, id)
    answers[#answers + 1] = type(waits) == 'string' and 1 or 0
  end
end
return answers
