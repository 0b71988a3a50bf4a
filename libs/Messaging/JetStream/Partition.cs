namespace MultiAgent.Messaging.JetStream;

/// <summary>
/// Spreads ordering keys over a fixed number of subjects. The number and the hash (FNV-1a, 32 bits) are part of the wire format: all versions
/// that run beside each other must agree.
/// </summary>
internal static class Partition
{
    public const int Count = 8;

    public static int Of(string key)
    {
        uint hash = 2166136261;
        foreach (char c in key) hash = (hash ^ c) * 16777619;
        return (int)(hash % Count);
    }
}
