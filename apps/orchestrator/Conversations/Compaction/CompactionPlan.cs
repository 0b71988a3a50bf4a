using MultiAgent.Orchestrator.Chat;

namespace MultiAgent.Orchestrator.Conversations.Compaction;

/// <summary>Which messages a summary takes the place of.</summary>
/// <param name="Told">What the summary tells of: all before the cut but system messages.</param>
/// <param name="Replaced">How many of them are not sent any more: all but the user's last message, wherever it is.</param>
/// <param name="Through">Stored messages up to this position are replaced; 0 when none is.</param>
/// <param name="Own">So many messages of the run itself, its first ones, are replaced.</param>
internal sealed record CompactionPlan(IReadOnlyList<ChatMessage> Told, int Replaced, long Through, int Own)
{
    /// <param name="messages">The conversation, oldest first.</param>
    /// <param name="keep">The newest messages that stay; more where a call of tools would lose its results.</param>
    public static CompactionPlan Of(IReadOnlyList<ChatMessage> messages, int keep)
    {
        int cut = messages.Count;
        for (int kept = 0; cut > 0 && kept < keep; cut--)
            if (messages[cut - 1].Role != ChatRole.System) kept++;
        while (cut > 0 && cut < messages.Count && messages[cut].Role == ChatRole.Tool) cut--;
        int lastUser = LastUser(messages);
        var told = new List<ChatMessage>();
        int replaced = 0, own = 0;
        long through = 0;
        for (int i = 0; i < cut; i++)
        {
            if (messages[i].Role == ChatRole.System) continue;
            told.Add(messages[i]);
            if (messages[i].Position == 0) own++;
            else through = Math.Max(through, messages[i].Position);
            if (i != lastUser) replaced++;
        }
        return new CompactionPlan(told, replaced, through, own);
    }

    /// <summary>Takes the messages out that a summary replaced.</summary>
    public static void Apply(List<ChatMessage> messages, long through, int own)
    {
        int lastUser = LastUser(messages), seen = 0;
        var left = new List<ChatMessage>(messages.Count);
        for (int i = 0; i < messages.Count; i++)
        {
            ChatMessage message = messages[i];
            bool replaced = message.Role != ChatRole.System && (message.Position > 0 ? message.Position <= through : seen++ < own);
            if (!replaced || i == lastUser) left.Add(message);
        }
        messages.Clear();
        messages.AddRange(left);
    }

    private static int LastUser(IReadOnlyList<ChatMessage> messages)
    {
        for (int i = messages.Count - 1; i >= 0; i--)
            if (messages[i].Role == ChatRole.User) return i;
        return -1;
    }
}
