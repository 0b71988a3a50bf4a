namespace MultiAgent.Orchestrator.Chat;

/// <summary>Fits conversations into the window of a model, dropping the oldest turns.</summary>
internal static class ContextWindow
{
    /// <summary>
    /// The messages that fit: all system messages, and the newest of the others, from the last user message on always. An
    /// assistant message that calls tools and its results stay or go together, and no result stays without its call.
    /// </summary>
    /// <param name="messages">The conversation, oldest first.</param>
    /// <param name="budget">Tokens that the messages may have.</param>
    /// <param name="count">Counts the tokens of a message.</param>
    public static IReadOnlyList<ChatMessage> Trim(IReadOnlyList<ChatMessage> messages, long budget, Func<ChatMessage, int> count)
    {
        // A token has at least one byte: what is small enough needs no counting.
        long bytes = 0;
        foreach (ChatMessage message in messages) bytes += message.Json.Length;
        if (bytes <= budget) return WithoutOrphans(messages);

        long left = budget;
        int lastUser = -1;
        for (int i = 0; i < messages.Count; i++)
        {
            if (messages[i].Role == ChatRole.System) left -= count(messages[i]);
            else if (messages[i].Role == ChatRole.User) lastUser = i;
        }
        // Whole blocks from the end: one message, or a message with calls and the results after it.
        int end = messages.Count, keepFrom = messages.Count;
        while (end > 0)
        {
            int start = end - 1;
            while (start > 0 && messages[start].Role == ChatRole.Tool) start--;
            long cost = 0;
            for (int i = start; i < end; i++)
                if (messages[i].Role != ChatRole.System) cost += count(messages[i]);
            bool needed = start >= lastUser && lastUser >= 0;
            if (!needed && cost > left) break;
            left -= cost;
            keepFrom = end = start;
        }
        var kept = new List<ChatMessage>(messages.Count);
        for (int i = 0; i < messages.Count; i++)
            if (i >= keepFrom || messages[i].Role == ChatRole.System) kept.Add(messages[i]);
        return WithoutOrphans(kept);
    }

    // A history that was cut by count may begin inside a pair; providers refuse that.
    private static IReadOnlyList<ChatMessage> WithoutOrphans(IReadOnlyList<ChatMessage> messages)
    {
        bool open = false, orphans = false;
        foreach (ChatMessage message in messages)
        {
            if (message.Role == ChatRole.Tool) orphans |= !open;
            else if (message.Role != ChatRole.System) open = message.HasToolCalls;
        }
        if (!orphans) return messages;
        var kept = new List<ChatMessage>(messages.Count);
        open = false;
        foreach (ChatMessage message in messages)
        {
            if (message.Role != ChatRole.Tool && message.Role != ChatRole.System) open = message.HasToolCalls;
            if (message.Role != ChatRole.Tool || open) kept.Add(message);
        }
        return kept;
    }
}
