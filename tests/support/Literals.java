import com.sun.source.tree.LiteralTree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TreeScanner;
import java.io.StringReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Properties;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/**
 * Reads standard input as Java source, or as a properties file, and prints what it holds in base64:
 * the string literals of the source in order, or the values of the properties by name.
 */
public class Literals {
    public static void main(String[] arguments) throws Exception {
        String text = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        if (arguments[0].equals("properties")) {
            Properties properties = new Properties();
            properties.load(new StringReader(text));
            properties.stringPropertyNames().stream().sorted()
                .forEach(name -> show(name + "=" + properties.getProperty(name)));
            return;
        }
        DiagnosticCollector<JavaFileObject> found = new DiagnosticCollector<>();
        URI name = URI.create("string:///Snippet.java");
        JavaFileObject file = new SimpleJavaFileObject(name, JavaFileObject.Kind.SOURCE) {
            @Override
            public CharSequence getCharContent(boolean ignoresErrors) {
                return text;
            }
        };
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        JavacTask task = (JavacTask) compiler.getTask(null, null, found, null, null, List.of(file));
        task.parse().forEach(unit -> unit.accept(new TreeScanner<Void, Void>() {
            @Override
            public Void visitLiteral(LiteralTree literal, Void nothing) {
                if (literal.getValue() instanceof String value) show(value);
                return null;
            }
        }, null));
        for (Diagnostic<?> problem : found.getDiagnostics()) System.err.println(problem);
        if (!found.getDiagnostics().isEmpty()) System.exit(1);
    }

    private static void show(String value) {
        System.out.println(Base64.getEncoder().encodeToString(value.getBytes(StandardCharsets.UTF_8)));
    }
}
