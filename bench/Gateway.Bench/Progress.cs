namespace MultiAgent.Bench.Gateway;

/// <summary>What goes on, on the error stream, so that the output is the report alone.</summary>
internal static class Progress
{
    public static void Write(string line) => Console.Error.WriteLine(line);
}
